import type { SourceNotice } from '../pipeline/contract.ts'

interface SourceHealth {
  connected: boolean
  nodes: number
  unavailable: number
  /** Why it is away, or refuses; '' while all is well. */
  problem: string
}

/** Whether Weir can do its work, and what is away meanwhile. */
export class Health {
  readonly #sources = new Map<string, SourceHealth>()
  readonly #degraded = new Map<string, string>()
  #isCatalogueLoaded = false

  /** A source that Weir is not ready without. */
  expect(source: string): void {
    this.#sources.set(source, { connected: false, nodes: 0, unavailable: 0, problem: '' })
  }

  catalogueLoaded(): void {
    this.#isCatalogueLoaded = true
  }

  noticed(source: string, notice: SourceNotice): void {
    const health = this.#sources.get(source)
    if (health === undefined) return
    if (notice.kind === 'connected') {
      const { nodes, unavailable } = notice
      const problem = nodes > 0 ? '' : 'no node is connected'
      Object.assign(health, { connected: nodes > 0, nodes, unavailable, problem })
    } else if (notice.kind === 'interrupted') {
      Object.assign(health, { connected: false, nodes: 0, problem: notice.reason })
    } else if (notice.kind === 'refused') health.problem = notice.reason
  }

  /** A sink or a target that is away; null: it is back. */
  degraded(what: string, reason: string | null): void {
    if (reason === null) this.#degraded.delete(what)
    else this.#degraded.set(what, reason)
  }

  sources(): object[] {
    return [...this.#sources].map(([name, health]) => ({ name, ...health }))
  }

  state(): { ready: boolean; waitingFor: string[]; degraded: string[] } {
    const waitingFor = this.#isCatalogueLoaded ? [] : ['catalogue']
    for (const [name, { connected, problem }] of this.#sources) {
      if (!connected)
        waitingFor.push(problem === '' ? `source ${name}` : `source ${name}: ${problem}`)
    }
    const degraded = [...this.#degraded].map(([what, reason]) => `${what}: ${reason}`)
    return { ready: waitingFor.length === 0, waitingFor, degraded }
  }
}
