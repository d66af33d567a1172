import type { Readable } from 'node:stream'
import type { EndpointTable } from '../../model/endpoint.ts'
import type { FlowPort, RejectReason, Source } from '../../pipeline/contract.ts'
import type { FlowFilter } from '../filter/flow-filter.ts'
import type { FlowsMessage } from '../flow-message.ts'
import { NodeBook } from '../node-book.ts'
import { Receiver, type TimeBounds } from '../receiver.ts'
import { type CaptureLine, openCapture, readCapture } from './capture-lines.ts'
import { MessageView } from './message-view.ts'
import { messageOfJson } from './proto-json.ts'
import { SeenFlows } from './seen-flows.ts'

export interface CaptureOptions extends TimeBounds {
  readonly name: string
  /** NDJSON as `hubble observe -o json` writes it, gzipped or not; `-` is standard input. */
  readonly paths: readonly string[]
  readonly stdin?: Readable | undefined
  readonly endpoints: EndpointTable
  readonly cluster: string
  readonly filter?: FlowFilter | undefined
}

const RESPONSE_KEYS = ['flow', 'node_status', 'nodeStatus', 'lost_events', 'lostEvents']
const BARE_FLOW_KEYS = ['IP', 'l4', 'Type', 'type', 'verdict']
/** A timer's turn for everything else in the process, after so many lines. */
const LINES_A_TURN = 2_000

/**
 * Reads captures to their end, merged by time where there are several. Paced: waits for what is
 * downstream. Lines that are no flow are counted (`malformed`, `too_large`, `unsupported`), never
 * fatal. Takes wrapped and bare flows, in proto or lowerCamelCase names.
 */
export function createCaptureSource(options: CaptureOptions): Source {
  const stopped = new AbortController()
  const book = new NodeBook(0)
  const seen = new SeenFlows()
  const view = new MessageView(options.endpoints, options.cluster)
  const receiver = new Receiver({
    ...options,
    accepts: options.filter?.accepts,
    book,
    isNew: (flow) => seen.add(flow),
    // A capture has no present: what it tells counts over the whole of it.
    now: () => 0,
  })
  const receive = (message: FlowsMessage, to: FlowPort) => {
    if (message.flow) {
      view.move(message, message.flow)
      receiver.flow(view, to)
    } else if (message.lost_events) {
      receiver.lost(message.node_name ?? '', message.lost_events, to, false)
    } else if (message.node_status) receiver.status(message.node_status, to)
    else receiver.rejected('unsupported', to)
  }
  return {
    name: options.name,
    paced: true,
    start: async () => {},
    stop: async () => stopped.abort(),
    coverage: () => book.coverage(),
    evictions: () => ({ nodes: book.evicted }),
    async run(to, signal) {
      const ended = AbortSignal.any([signal, stopped.signal])
      const files: CaptureFile[] = []
      for (const path of options.paths) {
        const input = await openCapture(path, options.stdin, ended)
        files.push(new CaptureFile(input, path, to))
      }
      to.notice({ kind: 'connected', nodes: 1, unavailable: 0 })
      for (const file of files) await file.next()
      for (let count = 1; !ended.aborted; count++) {
        const file = earliest(files)
        if (file?.head === undefined) return
        receive(file.head, to)
        const pending = file.advance()
        if (pending !== undefined) await pending
        if (count % LINES_A_TURN === 0) await turn(to)
      }
    },
  }
}

async function turn(to: FlowPort): Promise<void> {
  await to.ready()
  await new Promise((resolve) => setImmediate(resolve))
}

function earliest(files: readonly CaptureFile[]): CaptureFile | undefined {
  let first: CaptureFile | undefined
  for (const file of files) {
    if (file.head !== undefined && (first === undefined || file.headMs < first.headMs)) first = file
  }
  return first
}

class CaptureFile {
  head: FlowsMessage | undefined
  headMs = 0
  readonly #batches: AsyncGenerator<CaptureLine[]>
  readonly #to: FlowPort
  #lines: CaptureLine[] = []
  #at = 0

  constructor(input: Readable, path: string, to: FlowPort) {
    this.#batches = readCapture(input, path)
    this.#to = to
  }

  /** Moves to the next message without waiting where one is at hand; else the promise of it. */
  advance(): Promise<void> | undefined {
    return this.#take() ? undefined : this.next()
  }

  async next(): Promise<void> {
    while (!this.#take()) {
      const { value, done } = await this.#batches.next()
      if (done === true) return
      this.#lines = value
      this.#at = 0
    }
  }

  #take(): boolean {
    this.head = undefined
    while (this.#at < this.#lines.length) {
      const line = this.#lines[this.#at++]
      if (line === undefined) continue
      const message = 'text' in line ? messageOfLine(line.text) : line.rejected
      if (typeof message === 'string') {
        this.#to.notice({ kind: 'rejected', reason: message, count: 1 })
        continue
      }
      this.head = message
      const time = message.flow?.time ?? message.time
      // What has no time of its own stays where it stood in the file.
      if (time) this.headMs = (time.seconds ?? 0) * 1_000 + (time.nanos ?? 0) / 1e6
      return true
    }
    return false
  }
}

/** One line of a capture; a reason where it is none. */
export function messageOfLine(text: string): FlowsMessage | RejectReason {
  try {
    const json: unknown = JSON.parse(text)
    if (typeof json !== 'object' || json === null || Array.isArray(json)) return 'malformed'
    if (RESPONSE_KEYS.some((key) => key in json)) {
      return messageOfJson('observer.GetFlowsResponse', json)
    }
    if (!BARE_FLOW_KEYS.some((key) => key in json)) return 'unsupported'
    return { flow: messageOfJson('flow.Flow', json) }
  } catch {
    return 'malformed'
  }
}
