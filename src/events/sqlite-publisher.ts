import { Worker } from 'node:worker_threads'
import { SinkError } from '../errors.ts'
import type { Encoded } from '../pipeline/contract.ts'
import type { Publisher } from './publisher.ts'
import type { EventRow } from './sqlite-store.ts'
import type { SqliteReply, SqliteRequest } from './sqlite-worker.ts'

export interface SqlitePublisherOptions {
  /** The database file; its folder is made where it is missing. */
  readonly path: string
  /** Bytes that the events may take, 1 GiB by default; the file may be a batch larger. */
  readonly maxBytes?: number
  /** From the least to the most important: the oldest events of the first are pruned first. */
  readonly topics: readonly string[]
  /** The bound cost `count` old events. */
  readonly onPruned?: (count: number) => void
}

const NAME = 'sqlite'
const MAX_BYTES = 1024 ** 3

/**
 * Keeps events in a SQLite file, written on a worker thread: `node:sqlite` is synchronous. Doubles
 * (the same id) are dropped. A file that cannot be written is told by `open`, and Weir runs on without.
 */
export function createSqlitePublisher(options: SqlitePublisherOptions): Publisher {
  return new SqlitePublisher(options)
}

class SqlitePublisher implements Publisher {
  readonly name = NAME
  readonly #options: SqlitePublisherOptions
  #worker: Worker | undefined
  #isOpen = false

  constructor(options: SqlitePublisherOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    const { path, topics, maxBytes = MAX_BYTES } = this.#options
    await this.#ask({ kind: 'open', options: { path, maxBytes, topics } }, `open ${path}`)
    this.#isOpen = true
  }

  async publish(batch: readonly Encoded[]): Promise<void> {
    if (!this.#isOpen) await this.open()
    const rows = batch.map(rowOf)
    const pruned = await this.#ask({ kind: 'write', rows }, `write to ${this.#options.path}`)
    if (pruned > 0) this.#options.onPruned?.(pruned)
  }

  async close(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) return
    try {
      await this.#ask({ kind: 'close' }, `close ${this.#options.path}`)
    } finally {
      this.#forget(worker)
      await worker.terminate()
    }
  }

  /** Holds the process until the answer is here: a flush must not be cut short for want of other work. */
  async #ask(request: SqliteRequest, action: string): Promise<number> {
    const worker = (this.#worker ??= this.#spawn())
    worker.ref()
    const { promise, resolve } = Promise.withResolvers<SqliteReply>()
    const died = (reason: unknown): void => {
      this.#forget(worker)
      const message = reason instanceof Error ? reason.message : 'The worker ended'
      resolve({ kind: 'failed', message, retryable: true })
    }
    worker.once('message', resolve).once('error', died).once('exit', died)
    worker.postMessage(request)
    const reply = await promise
    worker.off('message', resolve).off('error', died).off('exit', died)
    worker.unref()
    if (reply.kind === 'done') return reply.pruned
    const { retryable, message } = reply
    const cause = new Error(message)
    throw new SinkError(`Cannot ${action}`, { sink: NAME, retryable, cause })
  }

  #forget(worker: Worker): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    this.#isOpen = false
  }

  #spawn(): Worker {
    // Sources run as they are, an installed package runs what was built of them.
    const file = import.meta.url.endsWith('.ts') ? './sqlite-worker.ts' : './sqlite-worker.js'
    const execArgv = ['--disable-warning=ExperimentalWarning']
    const worker = new Worker(new URL(file, import.meta.url), { execArgv, name: 'events-sqlite' })
    // Without a listener an error that comes between two requests would end the process.
    worker.on('error', () => this.#forget(worker))
    worker.on('exit', () => this.#forget(worker))
    return worker
  }
}

function rowOf({ topic, key, headers, value }: Encoded): EventRow {
  return {
    id: headers['ce_id'] ?? '',
    type: headers['ce_type'] ?? '',
    time: headers['ce_time'] ?? '',
    key,
    topic,
    headers: JSON.stringify(headers),
    data: value.toString(),
  }
}
