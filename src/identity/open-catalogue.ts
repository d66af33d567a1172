import type { ApiCall } from '../model/api-call.ts'
import type { FlowView } from '../model/flow-view.ts'
import { type BuildOptions, buildCatalogue } from './build-catalogue.ts'
import type { Catalogue } from './catalogue.ts'
import { type Explanation, explainCall, explainFlow } from './explain-call.ts'
import { readManifests, sentenceOf } from './manifests.ts'
import { readOverlay } from './overlay.ts'

export interface OpenedCatalogue {
  readonly catalogue: Catalogue
  /** A sentence each: what is wrong with the manifests, and where. Nothing of it is fatal. */
  readonly problems: readonly string[]
  /** Objects of kinds that are not read, by kind. */
  readonly ignored: { readonly [kind: string]: number }
  /** Why a call, or a flow without HTTP, was given to an API by this catalogue, or was not. */
  explainCall(call: ApiCall): Explanation
  explainFlow(flow: FlowView): Explanation
}

export interface OpenOptions extends BuildOptions {
  /** File of APIs that no object declares. */
  readonly overlay?: string | undefined
}

/**
 * Reads manifests and makes a catalogue of them.
 *
 * @throws {ConfigError} for a path that does not exist, or an overlay that is wrong.
 */
export async function openCatalogue(
  paths: readonly string[],
  options: OpenOptions = {},
): Promise<OpenedCatalogue> {
  const { objects, problems } = await readManifests(paths)
  const { overlay } = options
  const laidOver = overlay === undefined ? [] : await readOverlay(overlay)
  const catalogue = await buildCatalogue([...objects, ...laidOver], options)
  return {
    catalogue,
    problems: [...problems.map(sentenceOf), ...problemsOf(catalogue)],
    ignored: Object.fromEntries(catalogue.ignoredKinds),
    explainCall: (call) => explainCall(catalogue, call),
    explainFlow: (flow) => explainFlow(catalogue, flow),
  }
}

/** A sentence each: what is wrong with the objects of a catalogue. */
export function problemsOf({ problems, moreProblems }: Catalogue): string[] {
  const sentences = problems.map(({ object, reason }) => `${object}: ${reason}`)
  if (moreProblems > 0) sentences.push(`${moreProblems} more, which are not listed`)
  return sentences
}
