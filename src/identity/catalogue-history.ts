import type { Catalogue } from './catalogue.ts'

/** Flows come late: what was deleted meanwhile must still be found. */
const SNAPSHOTS_MAX = 4

interface Snapshot {
  readonly catalogue: Catalogue
  /** Unix ms since when it holds. */
  readonly sinceMs: number
}

/** The last few catalogues, so that a late flow resolves against the configuration of its time. */
export class CatalogueHistory {
  /** Snapshots that left: flows of their time resolve against the oldest that is kept. */
  forgotten = 0
  readonly #snapshotsMax: number
  /** The newest first. */
  #snapshots: Snapshot[]
  #isEmpty = true

  /** `placeholder` stands in until the first one is added. */
  constructor(placeholder: Catalogue, snapshotsMax = SNAPSHOTS_MAX) {
    this.#snapshots = [{ catalogue: placeholder, sinceMs: Number.NEGATIVE_INFINITY }]
    this.#snapshotsMax = Math.max(1, snapshotsMax)
  }

  get current(): Catalogue {
    return this.at(Number.POSITIVE_INFINITY)
  }

  /**
   * `catalogue` holds from `sinceMs` on, Unix ms. The first one holds for all that was before it, too:
   * nothing else is known of that time, and captures are old.
   */
  add(catalogue: Catalogue, sinceMs: number): void {
    if (this.#isEmpty) {
      this.#isEmpty = false
      this.#snapshots = [{ catalogue, sinceMs: Number.NEGATIVE_INFINITY }]
      return
    }
    const newestMs = this.#snapshots[0]?.sinceMs ?? sinceMs
    // A clock that was set back must not hide the newest one.
    this.#snapshots.unshift({ catalogue, sinceMs: Math.max(sinceMs, newestMs) })
    while (this.#snapshots.length > this.#snapshotsMax) {
      this.#snapshots.pop()
      this.forgotten++
    }
  }

  /** In force at `timeMs`, Unix ms; the oldest that is kept for what was before it. */
  at(timeMs: number): Catalogue {
    const found = this.#snapshots.find(({ sinceMs }) => sinceMs <= timeMs) ?? this.#snapshots.at(-1)
    if (found === undefined) throw new Error('Cannot be: there is always one')
    return found.catalogue
  }
}
