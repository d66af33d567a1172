import type { Config } from '../config/schema.ts'
import type { Catalogue } from '../identity/catalogue.ts'
import { createDiscovery, type Discoverer } from '../identity/discovery.ts'
import { LearnedOperations } from '../identity/learned-operations.ts'
import { RemovedApis } from '../identity/removed-apis.ts'
import type { Discovery } from '../model/discovery.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { LiveCatalogue } from './live-catalogue.ts'

export interface ApiKnowledgeOptions {
  readonly config: Config
  readonly telemetry: Telemetry
  readonly coverage: () => number
  readonly onDiscovery: (discovery: Discovery) => void
  /** All that can be read is read, once. */
  readonly onLoaded: () => void
  /** What the cluster does not give, by resource; null: it does again. */
  readonly onDegraded: (what: string, reason: string | null) => void
  readonly onProblem: (problem: string) => void
}

/** What is known of APIs: what is declared, what was, what traffic teaches, and what that shows. */
export class ApiKnowledge {
  readonly catalogue: LiveCatalogue
  readonly learned = new LearnedOperations()
  readonly discovery: Discoverer
  readonly #removed = new RemovedApis()
  readonly #told = new Set<string>()

  constructor(options: ApiKnowledgeOptions) {
    const { config, telemetry, coverage, onDegraded, onDiscovery, onLoaded, onProblem } = options
    this.catalogue = new LiveCatalogue({
      identity: config.identity,
      now: Date.now,
      onCatalogue: (now, before, problems) => {
        this.#removed.replaced(before, now, Date.now())
        const fresh = problems.filter((problem) => !this.#told.has(problem))
        // Each once: the catalogue is built again with every rollout.
        this.#told.clear()
        for (const problem of problems) this.#told.add(problem)
        telemetry.catalogueLoaded(now.apis.length, fresh)
        for (const problem of fresh) onProblem(problem)
      },
      onLoaded,
      onState: (state, resource, reason) => {
        // A CRD that is not installed is no trouble: its part is off.
        const isTrouble = state === 'away' || state === 'forbidden'
        onDegraded(`kubernetes ${resource}`, isTrouble ? reason : null)
      },
    })
    this.discovery = createDiscovery(
      {
        learned: this.learned,
        apis: () => this.current.apis,
        servicesOf: (api) =>
          this.current
            .limitTargets(api, null, 'api')
            .map(({ namespace, service }) => `${namespace}/${service}`),
        isManaged: (api) => this.current.isBehindGateway(api),
        removedApi: (exchange) => this.#removed.find(exchange, this.current),
        coverage,
      },
      onDiscovery,
    )
  }

  get current(): Catalogue {
    return this.catalogue.current
  }

  evictions(): Readonly<Record<string, number>> {
    const { templates } = this.learned
    return {
      ...this.discovery.evictions(),
      learned_services: templates.servicesEvicted,
      learned_templates: templates.templatesEvicted,
      other_paths: templates.overflowed,
      removed_apis: this.#removed.evicted,
      catalogues: this.catalogue.history.forgotten,
    }
  }
}
