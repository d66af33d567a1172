import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { observerService } from '../src/hubble/proto.ts'
import { corpusMessages } from '../test/fixtures/flow-corpus.ts'
import { cacheRoot } from '../test/services/cache.ts'

/** Flows in the file: more different endpoints than any cache of a few hundred would hold. */
export const CORPUS_FLOWS = 50_000

/**
 * The flows of a busy cluster in a file, made once: encoded GetFlowsResponse messages, each behind its
 * length (4 bytes, big endian).
 */
export function corpusFile(): string {
  const folder = join(cacheRoot(), 'bench')
  const path = join(folder, `corpus-${CORPUS_FLOWS}-v1.bin`)
  if (existsSync(path)) return path
  mkdirSync(folder, { recursive: true })
  const serialize = observerService()['GetFlows']?.responseSerialize
  const parts: Buffer[] = []
  for (const message of corpusMessages(CORPUS_FLOWS)) {
    const bytes = serialize?.(message) ?? Buffer.alloc(0)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    parts.push(length, bytes)
  }
  writeFileSync(`${path}.new`, Buffer.concat(parts))
  renameSync(`${path}.new`, path)
  return path
}
