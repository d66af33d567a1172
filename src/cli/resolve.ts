import { createInterface } from 'node:readline'
import { openCatalogue, resolveRequest } from '../app.ts'
import { type Io, print, printPaced } from './io.ts'
import { configWithManifests, type ManifestFlags } from './manifest-flags.ts'

/** A line in, a line out, in order. Exit 1 at the end where a line could not be read. */
export async function resolve(io: Io, flags: ManifestFlags): Promise<number> {
  const { identity } = configWithManifests(io, flags)
  const { catalogue, problems } = await openCatalogue(identity.manifests, identity)
  for (const problem of problems) print(io.stderr, `Warning: ${problem}`)
  let failed = false
  let hasReader = true
  io.stdout.once('error', () => {
    hasReader = false
  })
  for await (const line of createInterface({ input: io.stdin, signal: io.stop })) {
    if (line.trim() === '') continue
    const answer = answerLine(catalogue, line)
    if ('error' in answer) failed = true
    const text = flags.json === true ? JSON.stringify(answer) : sentenceOf(answer)
    await printPaced(io.stdout, text)
    if (!hasReader) break
  }
  return failed ? 1 : 0
}

type Answer = ReturnType<typeof resolveRequest>

function answerLine(catalogue: Parameters<typeof resolveRequest>[0], line: string): Answer {
  let input: unknown
  try {
    input = JSON.parse(line)
  } catch {
    return { error: 'not JSON' }
  }
  return resolveRequest(catalogue, input)
}

function sentenceOf(answer: Answer): string {
  if ('error' in answer) return `error: ${answer.error}`
  const { api, operation, confidence, how, candidates } = answer
  const what = operation === null ? '' : ` ${operation.method} ${operation.template}`
  if (api !== null) return `${api.name} ${api.version}${what} (${confidence}, ${how})`
  const names = candidates.map((c) => `${c.name} ${c.version}`).join(', ')
  return names === '' ? `no API (${how})` : `one of ${names} (${confidence}, ${how})`
}
