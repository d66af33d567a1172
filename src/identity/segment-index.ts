import { ANY_SEGMENT, type PathPattern } from './path-pattern.ts'

/** Below this many it is quicker to ask each. */
const LINEAR_MAX = 12

/** Most nodes have one child, and a map of one is a waste: it is spelled out until a second one comes. */
interface Node<T> {
  readonly items: T[]
  segment: string
  only: Node<T> | null
  children: Map<string, Node<T>> | null
  /** For whatever segment stands there. */
  any: Node<T> | null
}

const newNode = <T>(): Node<T> => ({
  items: [],
  segment: '',
  only: null,
  children: null,
  any: null,
})

/** Finds what may match a path by the segments that its pattern begins with: one Service, or one host, may have all APIs of a company. */
export class SegmentIndex<T> {
  /** Until there is a tree. */
  #few: { readonly pattern: PathPattern; readonly item: T }[] = []
  #root: Node<T> | null = null

  add(pattern: PathPattern, item: T): void {
    if (this.#root !== null) {
      insert(this.#root, pattern, item)
      return
    }
    this.#few.push({ pattern, item })
    if (this.#few.length <= LINEAR_MAX) return
    this.#root = newNode()
    for (const known of this.#few) insert(this.#root, known.pattern, known.item)
    this.#few = []
  }

  /** Calls `visit` with everything that may match `path`, and some that does not. */
  near(path: string, visit: (item: T) => void): void {
    if (this.#root === null) {
      for (const { item } of this.#few) visit(item)
      return
    }
    visitFrom(this.#root, path, 1, visit)
  }
}

function visitFrom<T>(from: Node<T>, path: string, at: number, visit: (item: T) => void): void {
  let node: Node<T> | undefined = from
  for (let start = at; ; ) {
    for (const item of node.items) visit(item)
    if (start > path.length) return
    const slash = path.indexOf('/', start)
    const end = slash < 0 ? path.length : slash
    if (node.any !== null && end > start) visitFrom(node.any, path, end + 1, visit)
    node = childAt(node, path, start, end)
    if (node === undefined) return
    start = end + 1
  }
}

function childAt<T>(
  { only, segment, children }: Node<T>,
  path: string,
  start: number,
  end: number,
): Node<T> | undefined {
  if (children !== null) return children.get(path.slice(start, end))
  if (only === null || segment.length !== end - start) return undefined
  return path.startsWith(segment, start) ? only : undefined
}

function insert<T>(root: Node<T>, { fixed }: PathPattern, item: T): void {
  let node = root
  for (let start = 1; start < fixed.length; ) {
    const slash = fixed.indexOf('/', start)
    const end = slash < 0 ? fixed.length : slash
    const segment = fixed.slice(start, end)
    let next = segment === ANY_SEGMENT ? node.any : childAt(node, fixed, start, end)
    if (next === null || next === undefined) {
      next = newNode()
      if (segment === ANY_SEGMENT) node.any = next
      else addChild(node, segment, next)
    }
    node = next
    start = end + 1
  }
  node.items.push(item)
}

function addChild<T>(node: Node<T>, segment: string, child: Node<T>): void {
  if (node.children !== null) node.children.set(segment, child)
  else if (node.only === null) {
    node.only = child
    node.segment = segment
  } else {
    node.children = new Map([
      [node.segment, node.only],
      [segment, child],
    ])
    node.only = null
  }
}
