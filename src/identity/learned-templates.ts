import { KNOWN_METHODS } from '../model/http-method.ts'
import { ownText } from '../runtime/kept-text.ts'
import { Leaf, type LearnedTemplate, REST, TemplateTree } from './template-tree.ts'

export interface LearnedTemplatesOptions {
  /** Templates of one service, {@link OTHER_PATHS} among them. Default 100. */
  readonly templatesMax?: number
  /** Services that are remembered; beyond it the one that was used least recently leaves. Default 500. */
  readonly servicesMax?: number
  /** Different texts in one place of a path, beyond which they are a parameter. Default 20. */
  readonly fanOutMax?: number
  /** A template is promoted when it was seen in two of these, by event time. Default 60 000. */
  readonly windowMs?: number
}

/** The template of all paths of a service for which there is no room. */
export const OTHER_PATHS = `/${REST}`
const METHOD_OTHER = '_OTHER'

interface Service {
  readonly tree: TemplateTree
  /** {@link OTHER_PATHS}, by method. */
  readonly others: Map<string, Leaf>
}

/**
 * Makes templates of paths that nobody declared: `/users/42` → `/users/{int}`, typed segment by
 * segment, and more than `fanOutMax` texts in one place become `{param}`.
 *
 * Only an answer below 400 teaches anything: what a scanner asks for in vain neither becomes a
 * template nor fills a place. Whatever is sent, a service has at most `templatesMax` of them; room is
 * made from what was not seen lately and never promoted, and {@link OTHER_PATHS} stands for the rest.
 * The same input gives the same templates; across restarts they may differ.
 * Cost: below 1 µs for a known path of some segments; memory at most 250 kB a service, mostly far less.
 */
export class LearnedTemplates {
  /** Paths for which {@link OTHER_PATHS} stood. */
  overflowed = 0
  #servicesEvicted = 0
  /** Of services that have left. */
  #templatesEvicted = 0
  #uses = 0
  readonly #services = new Map<string, Service>()
  readonly #limits: { readonly templatesMax: number; readonly fanOutMax: number }
  readonly #servicesMax: number
  readonly #windowMs: number

  constructor(options: LearnedTemplatesOptions = {}) {
    // One of them is OTHER_PATHS.
    const templatesMax = (options.templatesMax ?? 100) - 1
    this.#limits = { templatesMax, fanOutMax: options.fanOutMax ?? 20 }
    this.#servicesMax = options.servicesMax ?? 500
    this.#windowMs = options.windowMs ?? 60_000
  }

  get servicesEvicted(): number {
    return this.#servicesEvicted
  }

  /** Unpromoted templates that left to make room. A walk over the services. */
  get templatesEvicted(): number {
    let sum = this.#templatesEvicted
    for (const { tree } of this.#services.values()) sum += tree.evicted
    return sum
  }

  /**
   * The template of a path, and learns from it. `path`: without query; `status`: 0 without an answer;
   * `nowMs`: Unix ms, of the call. undefined: nothing says that there is such a path.
   */
  templateOf(
    service: string,
    method: string,
    path: string,
    status: number,
    nowMs: number,
  ): LearnedTemplate | undefined {
    if (!path.startsWith('/')) return undefined
    const taken = status > 0 && status < 400
    const known = this.#services.get(service) ?? (taken ? this.#add(service) : undefined)
    if (known === undefined) return undefined
    known.tree.lastUse = ++this.#uses
    const window = Number.isFinite(nowMs) ? Math.floor(nowMs / this.#windowMs) : 0
    const verb = KNOWN_METHODS.has(method) ? method : METHOD_OTHER
    const leaf = known.tree.find(verb, path)
    if (leaf !== undefined) {
      if (isSign(status)) leaf.see(window)
      return leaf
    }
    if (!taken) return undefined
    return known.tree.learn(verb, path, window) ?? this.#otherOf(known, verb, window)
  }

  #otherOf({ others }: Service, method: string, window: number): Leaf {
    this.overflowed++
    const known = others.get(method)
    if (known === undefined) {
      const leaf = new Leaf({ method, template: OTHER_PATHS }, window)
      others.set(method, leaf)
      return leaf
    }
    known.see(window)
    return known
  }

  #add(name: string): Service {
    if (this.#services.size >= this.#servicesMax) this.#evictOne()
    const service = { tree: new TemplateTree(this.#limits), others: new Map<string, Leaf>() }
    this.#services.set(ownText(name), service)
    return service
  }

  #evictOne(): void {
    let least: [string, Service] | undefined
    for (const entry of this.#services) {
      if (least === undefined || entry[1].tree.lastUse < least[1].tree.lastUse) least = entry
    }
    if (least === undefined) return
    this.#services.delete(least[0])
    this.#servicesEvicted++
    this.#templatesEvicted += least[1].tree.evicted
  }
}

/** An answer that does not say that there is nothing at this path, or not with this method. */
function isSign(status: number): boolean {
  return status > 0 && status !== 404 && status !== 405
}
