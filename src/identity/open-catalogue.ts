import { Catalogue } from './catalogue.ts'
import { readManifests } from './manifests.ts'

export interface OpenedCatalogue {
  readonly catalogue: Catalogue
  /** A sentence each: what is wrong with the manifests, and where. Nothing of it is fatal. */
  readonly problems: readonly string[]
  /** Objects of kinds that are not read, by kind. */
  readonly ignored: { readonly [kind: string]: number }
}

/**
 * Reads manifests and makes a catalogue of them.
 *
 * @throws {ConfigError} for a path that does not exist.
 */
export async function openCatalogue(paths: readonly string[]): Promise<OpenedCatalogue> {
  const { objects, problems } = await readManifests(paths)
  const catalogue = new Catalogue(objects)
  const unread = problems.map(({ path, line, reason }) =>
    line === null ? `${path}: ${reason}` : `${path}:${line}: ${reason}`,
  )
  return {
    catalogue,
    problems: [
      ...unread,
      ...catalogue.problems.map(({ object, reason }) => `${object}: ${reason}`),
      ...(catalogue.moreProblems > 0
        ? [`${catalogue.moreProblems} more, which are not listed`]
        : []),
    ],
    ignored: Object.fromEntries(catalogue.ignoredKinds),
  }
}
