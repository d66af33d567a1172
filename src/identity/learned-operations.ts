import type { Api } from '../model/api.ts'
import { workloadOf } from '../model/endpoint.ts'
import type { Exchange, Report } from '../model/exchange.ts'
import { LearnedTemplates } from './learned-templates.ts'
import type { Resolution } from './resolution.ts'
import type { LearnedTemplate } from './template-tree.ts'

/** At the end of the way in which an operation was found. */
const LEARNED = '+learned'

/** What was called: the workload in the cluster, by whichever proxy knew it. */
export interface CalledWorkload {
  /** NAMESPACE/WORKLOAD, else NAMESPACE/SERVICE. */
  readonly name: string
  /** As the flow shows it: of a workload the pod's. */
  readonly port: number
  readonly cluster: string
}

/** undefined: nothing in the cluster, or nothing that has a name. */
export function calledWorkloadOf({ report, twin }: Exchange): CalledWorkload | undefined {
  if (isWorkload(report)) return calledIn(report, workloadOf(report.destination))
  if (twin !== null && isWorkload(twin)) return calledIn(twin, workloadOf(twin.destination))
  const named = report.destinationService === '' && twin !== null ? twin : report
  return named.destinationService === '' ? undefined : calledIn(named, named.destinationService)
}

function calledIn({ destinationPort, cluster }: Report, name: string): CalledWorkload {
  return { name, port: destinationPort, cluster }
}

function isWorkload({ destination }: Report): boolean {
  return destination.namespace !== '' && (destination.workload !== '' || destination.pod !== '')
}

/**
 * The catalogue does not have the path, and nothing is left open: not several APIs, nor several
 * operations that look the same from here.
 */
export function isUndeclared(
  resolved: Pick<Resolution, 'api' | 'operation' | 'confidence' | 'how'>,
): boolean {
  const { api, operation, confidence, how } = resolved
  if (confidence === 'none' || how.endsWith(LEARNED)) return true
  return api !== null && operation === null && !how.split('+').includes('path')
}

/**
 * The learned templates of calls whose path is declared nowhere. A service is a workload and its
 * port; below an API the template is that of the path below its context, as for declared ones.
 */
export class LearnedOperations {
  readonly templates: LearnedTemplates
  #lastExchange: Exchange | null = null
  #lastTemplate: LearnedTemplate | undefined

  constructor(templates = new LearnedTemplates()) {
    this.templates = templates
  }

  /** Learns from the exchange when it is asked for it first; asked again at once, it only answers. */
  of(exchange: Exchange, api: Api | null): LearnedTemplate | undefined {
    if (exchange !== this.#lastExchange) {
      this.#lastExchange = exchange
      this.#lastTemplate = this.#learn(exchange, api)
    }
    return this.#lastTemplate
  }

  /** Gives what is declared nowhere a learned operation, once that is fit for a label. */
  complete(resolution: Resolution, exchange: Exchange): Resolution {
    if (!isUndeclared(resolution)) return resolution
    const learned = this.of(exchange, resolution.api)
    if (learned === undefined || !learned.isPromoted) return resolution
    const how = resolution.how + LEARNED
    return { ...resolution, operation: learned.operation, how }
  }

  #learn(exchange: Exchange, api: Api | null): LearnedTemplate | undefined {
    const called = calledWorkloadOf(exchange)
    if (called === undefined) return undefined
    return this.templates.templateOf(
      `${called.cluster}/${called.name}:${called.port}`,
      exchange.method,
      pathBelow(exchange.path, api?.context ?? ''),
      exchange.status,
      exchange.endMs,
    )
  }
}

function pathBelow(path: string, context: string): string {
  return context !== '' && path.startsWith(`${context}/`) ? path.slice(context.length) : path
}
