import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { EnforceError } from '../errors.ts'
import { fieldAt, textOf } from './canonical-json.ts'
import type { CecTarget } from './cec-target.ts'
import { cecYaml } from './cec-yaml.ts'

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/

/**
 * Keeps CECs as files, `NAMESPACE--weir-SERVICE.yaml`: for GitOps, and for whatever reads them from
 * a directory. A file is written aside and renamed, so that a reader never sees half of one. Files
 * that are no YAML object are not listed: nothing can be in force by them, and the next write
 * replaces them.
 */
export function createDirectoryTarget(directory: string): CecTarget {
  const fileOf = (namespace: string, name: string): string => {
    if (!LABEL.test(namespace) || !LABEL.test(name)) {
      throw new EnforceError(`Cannot name a file: ${namespace}/${name} are no Kubernetes names`, {
        retryable: false,
      })
    }
    return `${namespace}--${name}.yaml`
  }
  return {
    async list() {
      try {
        await mkdir(directory, { recursive: true })
        const files = (await readdir(directory)).filter((file) =>
          /^[^.].*--weir-.*\.yaml$/.test(file),
        )
        const texts = await Promise.all(
          files.toSorted().map((file) => readFile(join(directory, file), 'utf8')),
        )
        return texts.map(parsed).filter((cec) => cec !== undefined)
      } catch (cause) {
        throw failed('read', directory, cause)
      }
    },
    async write(cec) {
      const name = textOf(fieldAt(cec, 'metadata', 'name'))
      const file = fileOf(textOf(fieldAt(cec, 'metadata', 'namespace')), name)
      const aside = join(directory, `.${file}.new`)
      try {
        await mkdir(directory, { recursive: true })
        await writeFile(aside, cecYaml(cec), { flush: true })
        await rename(aside, join(directory, file))
      } catch (cause) {
        throw failed('write', join(directory, file), cause)
      }
    },
  }
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined // Broken YAML is in force nowhere.
  }
}

/** A full disk or a missing mount may be mended while we run. */
function failed(action: string, path: string, cause: unknown): EnforceError {
  return new EnforceError(`Cannot ${action} ${path}: the file system refused`, {
    retryable: true,
    cause,
  })
}
