import type { Readable } from 'node:stream'
import type { Config } from '../config/schema.ts'
import { msOfMoment } from '../config/values.ts'
import { createCaptureSource } from '../hubble/capture/capture-source.ts'
import { createSource } from '../hubble/create-source.ts'
import { compileFlowFilter } from '../hubble/filter/flow-filter.ts'
import type { EndpointTable } from '../model/endpoint.ts'
import { coverageRatio, type Source } from '../pipeline/contract.ts'
import { timeTextOf } from './time-text.ts'

interface SourcesOptions {
  readonly endpoints: EndpointTable
  readonly stdin: Readable
  /** In place of what the sources say, Unix ms. */
  readonly sinceMs?: number | undefined
  /** Makes every live source a bounded read, Unix ms. */
  readonly untilMs?: number | undefined
  /** Read instead of the configured sources, merged by time. */
  readonly captures?: readonly string[] | undefined
}

/** What the configuration reads. @throws {ConfigError} for a filter that cannot be. */
export function createSources({ cluster, hubble }: Config, options: SourcesOptions): Source[] {
  const { captures, sinceMs, ...rest } = options
  if (captures !== undefined) {
    return [createCaptureSource({ ...rest, cluster, name: 'replay', paths: captures })]
  }
  const now = Date.now()
  return hubble.sources.map((source, i) => {
    const ownMs = source.since === undefined ? undefined : msOfMoment(source.since, now)
    return createSource({
      ...rest,
      ...source,
      cluster: source.cluster ?? cluster,
      transport: hubble.transport,
      where: filterPath(i),
      sinceMs: sinceMs ?? ownMs,
    })
  })
}

/** @throws {ConfigError} for a flow filter that cannot be. */
export function checkFilters({ hubble }: Config): void {
  hubble.sources.forEach(({ filter = {} }, i) => void compileFlowFilter(filter, filterPath(i)))
}

/** The nodes of which least was seen lately, for a status page; at most `count`. */
export function worstNodesOf(sources: readonly Source[], count: number): object[] {
  return sources
    .flatMap((source) => source.coverage().map((node) => ({ source: source.name, ...node })))
    .map(({ received, missed, heardMs, ...of }) => ({
      ...of,
      coverage: Math.floor(coverageRatio([{ received, missed }]) * 1e4) / 1e4,
      received,
      missed,
      heard: heardMs === 0 ? null : timeTextOf(heardMs),
    }))
    .toSorted((a, b) => a.coverage - b.coverage)
    .slice(0, count)
}

/** What the bounds of all of them cost, by table. */
export function evictionsOf(sources: readonly Source[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const source of sources) {
    for (const [what, count] of Object.entries(source.evictions())) {
      sums[what] = (sums[what] ?? 0) + count
    }
  }
  return sums
}

/** The cluster of each configured source, by the source's name. */
export function sourceClustersOf({ cluster, hubble }: Config): ReadonlyMap<string, string> {
  return new Map(
    hubble.sources.map(({ name, relay, peer, file = '-', cluster: own = cluster }) => [
      name ?? relay ?? peer ?? file,
      own,
    ]),
  )
}

function filterPath(source: number): string {
  return `hubble.sources.${source}.filter`
}
