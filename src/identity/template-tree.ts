import type { Operation } from '../model/api.ts'
import { ownText } from '../runtime/kept-text.ts'
import { ANY_SEGMENT, templateSegmentOf } from './path-segment.ts'

/** Deeper paths end in {@link REST}, as do those that were longer than `PATH_MAX`. */
const SEGMENTS_MAX = 32
const PATH_MAX = 2_048
/** Nodes of one service, whatever its paths are like: templates of five segments each, say. */
const NODES_MAX = 512
export const REST = '{rest...}'
/** What was not promoted is forgotten after so many windows without it, when room is needed. */
const STALE_WINDOWS = 2

/**
 * A template learned from paths. A live view: what it says is of the moment. `operation` is
 * immutable, and the same object as long as method and template are the same.
 */
export interface LearnedTemplate {
  readonly operation: Operation
  readonly template: string
  /** Seen in two windows: fit for a label. */
  readonly isPromoted: boolean
}

/** A template with its evidence. */
export class Leaf implements LearnedTemplate {
  operation: Operation
  isPromoted = false
  readonly firstWindow: number
  lastWindow: number

  constructor(operation: Operation, window: number) {
    this.operation = operation
    this.firstWindow = window
    this.lastWindow = window
  }

  get template(): string {
    return this.operation.template
  }

  see(window: number): void {
    if (window !== this.firstWindow) this.isPromoted = true
    this.lastWindow = window
  }
}

interface Node {
  readonly parent: Node | null
  /** Its segment of the template; a placeholder begins with a brace. */
  readonly text: string
  children: Map<string, Node> | null
  /** Children whose text is a path's own. */
  literals: number
  /** It had too many of these: {@link ANY_SEGMENT} stands for all. */
  isCollapsed: boolean
  leaf: Leaf | null
}

export interface TemplateLimits {
  /** Templates of one service, those of all methods together. */
  readonly templatesMax: number
  /** Different texts in one place, beyond which they are a parameter. */
  readonly fanOutMax: number
}

const isLiteral = (text: string): boolean => text !== '' && !text.startsWith('{')

function nodeOf(parent: Node | null, text: string): Node {
  return { parent, text, children: null, literals: 0, isCollapsed: false, leaf: null }
}

/** The templates of one service: a prefix tree for each method, within common bounds. Deterministic. */
export class TemplateTree {
  /** For the table that holds the trees: when it was used last, in uses. */
  lastUse = 0
  /** Templates that were forgotten unpromoted, to make room. */
  evicted = 0
  readonly #limits: TemplateLimits
  readonly #roots = new Map<string, Node>()
  /** With the node of each, in the order in which they were learned. */
  readonly #leaves = new Map<Leaf, Node>()
  #nodes = 0
  /** In this window no template was stale. */
  #fullIn = Number.NaN

  constructor(limits: TemplateLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#leaves.size
  }

  find(method: string, path: string): Leaf | undefined {
    const root = this.#roots.get(method)
    if (root === undefined) return undefined
    let node: Node | undefined = root
    let segments = 0
    const end = endOf(path)
    for (let at = 0; node !== undefined && at < end; segments++) {
      if (segments === SEGMENTS_MAX) return node.children?.get(REST)?.leaf ?? undefined
      const to = nextSlash(path, at + 1, end)
      const text = templateSegmentOf(path, at + 1, to)
      node = node.children?.get(keyIn(node, text))
      at = to
    }
    if (node !== undefined && end < path.length) node = node.children?.get(REST)
    return node?.leaf ?? undefined
  }

  /** Adds the template of a path that {@link find} does not know; undefined where there is no room. */
  learn(method: string, path: string, window: number): Leaf | undefined {
    if (this.#leaves.size >= this.#limits.templatesMax && !this.#forgetStale(window))
      return undefined
    const texts = segmentsOf(path)
    if (this.#nodes + texts.length > NODES_MAX && !this.#forgetStale(window)) return undefined
    if (this.#nodes + texts.length > NODES_MAX) return undefined
    let node = this.#roots.get(method) ?? nodeOf(null, '')
    this.#roots.set(method, node)
    let crowded: Node | null = null
    for (const text of texts) {
      const parent: Node = node
      node = this.#childOf(parent, text)
      if (crowded === null && parent.literals > this.#limits.fanOutMax) crowded = parent
    }
    if (node.leaf === null) {
      node.leaf = new Leaf({ method, template: templateAt(node) }, window)
      this.#leaves.set(node.leaf, node)
    }
    if (crowded === null) return node.leaf
    this.#collapse(crowded)
    this.#rename(method, crowded)
    return this.find(method, path)
  }

  #childOf(parent: Node, text: string): Node {
    const key = keyIn(parent, text)
    const known = parent.children?.get(key)
    if (known !== undefined) return known
    return this.#attach(parent, nodeOf(parent, isLiteral(key) ? ownText(key) : key))
  }

  #attach(parent: Node, node: Node): Node {
    parent.children ??= new Map()
    parent.children.set(node.text, node)
    if (isLiteral(node.text)) parent.literals++
    this.#nodes++
    return node
  }

  /** Makes one parameter of all texts below `node`, with whatever was below each of them. */
  #collapse(node: Node): void {
    node.isCollapsed = true
    node.literals = 0
    const children = [...(node.children?.values() ?? [])]
    for (const child of children) {
      if (!isLiteral(child.text)) continue
      node.children?.delete(child.text)
      this.#nodes--
      this.#merge(this.#childOf(node, ANY_SEGMENT), child)
    }
  }

  #merge(into: Node, from: Node): void {
    if (from.leaf !== null) this.#mergeLeaf(into, from.leaf)
    if (from.isCollapsed && !into.isCollapsed) this.#collapse(into)
    for (const child of from.children?.values() ?? []) {
      this.#nodes--
      this.#merge(this.#childOf(into, child.text), child)
    }
    if (into.literals > this.#limits.fanOutMax) this.#collapse(into)
  }

  #mergeLeaf(into: Node, leaf: Leaf): void {
    if (into.leaf === null) {
      into.leaf = leaf
      this.#leaves.set(leaf, into)
      return
    }
    this.#leaves.delete(leaf)
    const lastWindow = Math.max(into.leaf.lastWindow, leaf.lastWindow)
    into.leaf.isPromoted ||= leaf.isPromoted
    into.leaf.see(leaf.firstWindow)
    into.leaf.lastWindow = lastWindow
  }

  /** After a collapse above them, the templates are other ones. */
  #rename(method: string, node: Node): void {
    if (node.leaf !== null) {
      const template = templateAt(node)
      if (template !== node.leaf.template) node.leaf.operation = { method, template }
    }
    for (const child of node.children?.values() ?? []) this.#rename(method, child)
  }

  /** Forgets the unpromoted template that was not seen for longest. A walk over all, once a window. */
  #forgetStale(window: number): boolean {
    if (window === this.#fullIn) return false
    let oldest: Leaf | undefined
    for (const leaf of this.#leaves.keys()) {
      if (leaf.isPromoted || leaf.lastWindow > window - STALE_WINDOWS) continue
      if (oldest === undefined || leaf.lastWindow < oldest.lastWindow) oldest = leaf
    }
    if (oldest === undefined) {
      this.#fullIn = window
      return false
    }
    this.evicted++
    const at = this.#leaves.get(oldest)
    this.#leaves.delete(oldest)
    if (at !== undefined) this.#prune(at)
    return true
  }

  #prune(at: Node): void {
    at.leaf = null
    let node: Node | null = at
    while (node !== null && node.leaf === null && (node.children?.size ?? 0) === 0) {
      const parent: Node | null = node.parent
      if (parent === null) return
      parent.children?.delete(node.text)
      if (isLiteral(node.text)) parent.literals--
      this.#nodes--
      node = parent
    }
  }
}

/** Where a segment's node stands among its siblings. */
function keyIn(node: Node, text: string): string {
  return node.isCollapsed && isLiteral(text) ? ANY_SEGMENT : text
}

/** What of the path is looked at: of one that is too long, its whole segments. */
function endOf(path: string): number {
  return path.length < PATH_MAX ? path.length : path.lastIndexOf('/', PATH_MAX - 1)
}

function nextSlash(path: string, from: number, end: number): number {
  const slash = path.indexOf('/', from)
  return slash < 0 || slash > end ? end : slash
}

function segmentsOf(path: string): string[] {
  const texts: string[] = []
  const end = endOf(path)
  for (let at = 0; at < end; ) {
    if (texts.length === SEGMENTS_MAX) return [...texts, REST]
    const to = nextSlash(path, at + 1, end)
    texts.push(templateSegmentOf(path, at + 1, to))
    at = to
  }
  return end < path.length ? [...texts, REST] : texts
}

function templateAt(node: Node): string {
  const texts: string[] = []
  for (let at: Node = node; at.parent !== null; at = at.parent) texts.unshift(at.text)
  return `/${texts.join('/')}`
}
