import { setImmediate as turn } from 'node:timers/promises'
import { Catalogue, cataloguePartsOf } from './catalogue.ts'
import type { KubernetesObject } from './kubernetes-object.ts'
import type { ReadOptions } from './read-routes.ts'

export interface BuildOptions extends ReadOptions {
  /** How long it may hold up everything else in the process at a time, in ms. */
  readonly yieldEveryMs?: number
  readonly signal?: AbortSignal
}

const YIELD_EVERY_MS = 10

/** A catalogue of many objects, made in short steps. Rejects where `signal` aborts. */
export async function buildCatalogue(
  objects: readonly KubernetesObject[],
  options: BuildOptions = {},
): Promise<Catalogue> {
  const { yieldEveryMs = YIELD_EVERY_MS, signal } = options
  const steps = cataloguePartsOf(objects, options)
  for (let startMs = performance.now(); ; ) {
    const { done, value } = steps.next()
    if (done === true) return new Catalogue([], options, value)
    if (performance.now() - startMs < yieldEveryMs) continue
    await turn()
    signal?.throwIfAborted()
    startMs = performance.now()
  }
}
