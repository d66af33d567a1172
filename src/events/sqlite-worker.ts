import { parentPort } from 'node:worker_threads'
import { type EventRow, SqliteStore, type SqliteStoreOptions } from './sqlite-store.ts'

/** Answered one by one, in order. */
export type SqliteRequest =
  | { readonly kind: 'open'; readonly options: SqliteStoreOptions }
  | { readonly kind: 'write'; readonly rows: readonly EventRow[] }
  | { readonly kind: 'close' }

export type SqliteReply =
  | { readonly kind: 'done'; readonly pruned: number }
  /** `retryable`: the disk is full or the file is locked; otherwise it cannot be used. */
  | { readonly kind: 'failed'; readonly message: string; readonly retryable: boolean }

/** SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR, SQLITE_FULL: https://sqlite.org/rescode.html */
const PASSING_CODES = new Set([5, 6, 10, 13])
/** Extended codes carry the primary one in their lowest byte. */
const PRIMARY_CODE = 0xff

let store: SqliteStore | undefined

function answer(request: SqliteRequest): number {
  switch (request.kind) {
    case 'open':
      store?.close()
      store = undefined
      store = new SqliteStore(request.options)
      return 0
    case 'write':
      if (store === undefined) throw new Error('The file is not open')
      return store.write(request.rows)
    case 'close':
      store?.close()
      store = undefined
      return 0
  }
}

function failureOf(error: unknown): SqliteReply {
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0
  const retryable =
    PASSING_CODES.has(code & PRIMARY_CODE) ||
    (error instanceof Error && 'code' in error && error.code === 'ENOSPC')
  return { kind: 'failed', message, retryable }
}

parentPort?.on('message', (request: SqliteRequest) => {
  let reply: SqliteReply
  try {
    reply = { kind: 'done', pruned: answer(request) }
  } catch (error) {
    reply = failureOf(error)
  }
  parentPort?.postMessage(reply)
})
