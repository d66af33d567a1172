import type { ApiCall } from '../model/api-call.ts'
import type { Endpoint } from '../model/endpoint.ts'

const DESTINATIONS_MAX = 4_096
const REMEMBER_MS = 86_400_000
/** A destination is noted again at most so often. */
const AGAIN_MS = 60_000
/** Not pods: behind our listener, which keeps the client's address, each call of theirs ends with a 500. */
const OUTSIDE = new Set([
  'host',
  'remote-node',
  'kube-apiserver',
  'world',
  'world-ipv4',
  'world-ipv6',
  'unmanaged',
])
/** The kubelet calls pods at their own address, past every Service. */
const PROBE = 'kube-probe/'

interface Seen {
  readonly who: string
  lastMs: number
}

/**
 * Remembers for a day which addresses and Services were called by somebody who is no pod. Flows do
 * not tell whether that was through a Service (the socket has its address replaced), so every such
 * call counts. Bounded; the one called longest ago is forgotten (`forgotten` counts).
 */
export class OutsideCallers {
  forgotten = 0
  readonly #byDestination = new Map<string, Seen>()

  see({ exchange }: ApiCall): void {
    const { report, twin, userAgent } = exchange
    if (!isOutside(report.source) || (twin !== null && !isOutside(twin.source))) return
    if (userAgent.startsWith(PROBE)) return
    for (const { destinationIp, destinationService } of twin === null ? [report] : [report, twin]) {
      this.#note(destinationIp, report.source.reserved, report.seenMs)
      this.#note(destinationService, report.source.reserved, report.seenMs)
    }
  }

  /** Who called one of these (addresses, `NAMESPACE/SERVICE`) within the last day; undefined: nobody. */
  callerOf(destinations: readonly string[], nowMs: number): string | undefined {
    for (const destination of destinations) {
      const seen = this.#byDestination.get(destination)
      if (seen !== undefined && nowMs - seen.lastMs < REMEMBER_MS) return seen.who
    }
    return undefined
  }

  #note(destination: string, who: string, atMs: number): void {
    if (destination === '') return
    const known = this.#byDestination.get(destination)
    if (known !== undefined && atMs < known.lastMs + AGAIN_MS) return
    const lastMs = Math.max(atMs, known?.lastMs ?? 0)
    this.#byDestination.delete(destination) // so that the map's order is that of use
    this.#byDestination.set(destination, { who, lastMs })
    const [oldest] = this.#byDestination.keys()
    if (this.#byDestination.size > DESTINATIONS_MAX && oldest !== undefined) {
      this.#byDestination.delete(oldest)
      this.forgotten++
    }
  }
}

function isOutside({ reserved, pod, workload }: Endpoint): boolean {
  return pod === '' && workload === '' && OUTSIDE.has(reserved)
}
