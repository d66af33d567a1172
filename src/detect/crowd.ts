/** A client's place in its crowd: the half windows in which it was counted. Start with {@link newMember}. */
export interface CrowdMember {
  seenIn: number
  knownIn: number
  struckIn: number
  struckAsKnown: boolean
}

export function newMember(): CrowdMember {
  return { seenIn: -1, knownIn: -1, struckIn: -1, struckAsKnown: false }
}

interface Half {
  seen: number
  struck: number
  knownSeen: number
  knownStruck: number
}

const emptyHalf = (): Half => ({ seen: 0, struck: 0, knownSeen: 0, knownStruck: 0 })

/**
 * Tells an incident from an attack: where a large share of the clients of one thing shows the same
 * trouble at once, the thing is broken, not attacked.
 *
 * Where enough clients are known good ones (`known`), only those decide: a distributed attack comes
 * from clients that never did well, and leaves the others alone; an outage hits those who did.
 * Counts clients over the present and the last half window; a few numbers, whatever is sent.
 */
export class Crowd {
  readonly #halfMs: number
  readonly #share: number
  readonly #clientsMin: number
  #index = -1
  #now = emptyHalf()
  #before = emptyHalf()

  constructor(options: { windowMs: number; share: number; clientsMin: number }) {
    this.#halfMs = options.windowMs / 2
    this.#share = options.share
    this.#clientsMin = options.clientsMin
  }

  /** The client is there; `known`: it has done well before. */
  see(member: CrowdMember, timeMs: number, known: boolean): void {
    const index = this.#roll(timeMs)
    if (member.seenIn !== index) {
      // Counted in one half only, the later one: so the two halves together count clients.
      if (member.seenIn === index - 1) this.#before.seen--
      member.seenIn = index
      this.#now.seen++
    }
    if (known && member.knownIn !== index) {
      if (member.knownIn === index - 1) this.#before.knownSeen--
      member.knownIn = index
      this.#now.knownSeen++
    }
  }

  /** The client, seen before, has the trouble. */
  strike(member: CrowdMember, timeMs: number): void {
    const index = this.#roll(timeMs)
    if (member.struckIn === index) return
    if (member.struckIn === index - 1) {
      this.#before.struck--
      if (member.struckAsKnown) this.#before.knownStruck--
    }
    member.struckIn = index
    member.struckAsKnown = member.knownIn === index
    this.#now.struck++
    if (member.struckAsKnown) this.#now.knownStruck++
  }

  get seen(): number {
    return this.#now.seen + this.#before.seen
  }

  get struck(): number {
    return this.#now.struck + this.#before.struck
  }

  isIncident(): boolean {
    const known = this.#now.knownSeen + this.#before.knownSeen
    const enough = known >= this.#clientsMin
    const of = enough ? known : this.seen
    const struck = enough ? this.#now.knownStruck + this.#before.knownStruck : this.struck
    return struck >= this.#clientsMin && struck >= this.#share * of
  }

  /** Opens the half window of `timeMs`; what comes out of order counts in the present one. */
  #roll(timeMs: number): number {
    const index = Math.floor(timeMs / this.#halfMs)
    if (index > this.#index) {
      this.#before = index === this.#index + 1 ? this.#now : emptyHalf()
      this.#now = emptyHalf()
      this.#index = index
    }
    return this.#index
  }
}
