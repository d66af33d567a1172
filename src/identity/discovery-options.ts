import type { Api } from '../model/api.ts'
import type { Exchange } from '../model/exchange.ts'
import type { CatalogueApi } from './catalogue.ts'
import type { LearnedOperations } from './learned-operations.ts'
import type { RemovedApi } from './removed-apis.ts'

/** All but the callbacks have defaults. */
export interface DiscoveryOptions {
  readonly learned: LearnedOperations
  /** What the catalogue of now declares: the same list as long as it is the same catalogue. */
  readonly apis: () => readonly CatalogueApi[]
  /** NAMESPACE/NAME of the Services behind an API. Asked seldom. */
  readonly servicesOf: (api: Api) => readonly string[]
  /** Whether a gateway stands before the API: only then it can be bypassed. Default: before each. */
  readonly isManaged?: (api: Api) => boolean
  /** The API that is no longer declared, and was called like this. Default: none is remembered. */
  readonly removedApi?: (exchange: Exchange) => RemovedApi | undefined
  /** The share of reality that is seen now, 0 … 1. Default: 1. */
  readonly coverage?: () => number
  /** Requests that are enough evidence, answers 404 and 405 aside. Default 20. */
  readonly requestsMin?: number
  /** Windows in which they must come. Default 2. */
  readonly windowsMin?: number
  /** By event time. Default 60 000. */
  readonly windowMs?: number
  /** Something that goes on is told again after so long. Default 24 h. */
  readonly retellMs?: number
  /** Something is over after so long without a call. Default 24 h. */
  readonly quietMs?: number
  /** Watched time without a call that makes an operation an orphan. Default 7 days. */
  readonly orphanMs?: number
  /** Share of what happened that must be seen for time to count as watched. Default 0.9. */
  readonly coverageMin?: number
  /** Templates of workloads that are no API's business. Default: probes' and Prometheus' paths. */
  readonly ignoredTemplates?: readonly string[]
  /** What is not enough evidence yet; beyond it what was seen least recently is forgotten. Default 5 000. */
  readonly pendingMax?: number
  /** Told and going on, orphans aside; beyond it nothing more is told. Default 1 000. */
  readonly openMax?: number
  /** Remembered for `list`, the oldest telling leaves first. Default 1 000. */
  readonly listMax?: number
  /** Clients whose requests in vain are counted. Default 10 000. */
  readonly scannersMax?: number
  /** Declared operations that are watched. Default 100 000. */
  readonly operationsMax?: number
}
