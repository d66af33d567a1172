const WINDOW_MS = 60_000

/**
 * Which share of what happened was seen lately: flows received against events that Hubble says it
 * lost, over the current minute and the one before it. Hubble counts all lost events, wanted or not,
 * so it is a lower bound.
 */
export class Coverage {
  #windowStartMs = 0
  #received = 0
  #lost = 0
  #receivedBefore = 0
  #lostBefore = 0

  received(count: number): void {
    this.#received += count
  }

  lost(count: number): void {
    this.#lost += count
  }

  /** `wallMs` in Unix ms; called at least a few times a window. */
  advance(wallMs: number): void {
    if (wallMs - this.#windowStartMs < WINDOW_MS) return
    this.#windowStartMs = wallMs
    this.#receivedBefore = this.#received
    this.#lostBefore = this.#lost
    this.#received = 0
    this.#lost = 0
  }

  /** 0 … 1; 1 where nothing came and nothing was lost. */
  ratio(): number {
    const lost = this.#lost + this.#lostBefore
    return lost === 0 ? 1 : 1 - lost / (this.#received + this.#receivedBefore + lost)
  }
}
