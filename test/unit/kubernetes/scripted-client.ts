import type { ApiClient } from '../../../src/kubernetes/api-client.ts'
import type { ApiError } from '../../../src/kubernetes/api-error.ts'
import type { Discovery } from '../../../src/kubernetes/discovery.ts'

/** What the server does with one request: a list, the lines of a watch that then ends, or an error. */
export type Answer =
  | { readonly list: readonly object[]; readonly resourceVersion: string; readonly next?: string }
  | { readonly lines: readonly object[] }
  | { readonly error: ApiError }
  /** A watch that stays open, and says nothing more. */
  | { readonly hangsAfter: readonly object[] }

/** An API server that answers by a script; after its end every request hangs. `asked`: the queries so far. */
export function scriptedClient(script: readonly Answer[]) {
  const asked: URLSearchParams[] = []
  const client: ApiClient = {
    async open({ path, signal }) {
      asked.push(new URL(path, 'https://test').searchParams)
      const answer = script[asked.length - 1] ?? { hangsAfter: [] }
      if ('error' in answer) throw answer.error
      return chunksOf(answer, signal)
    },
    json: () => Promise.reject(new Error('Cannot answer: nobody asks for this')),
    close: () => {},
  }
  return { client, asked }
}

async function* chunksOf(
  answer: Exclude<Answer, { readonly error: ApiError }>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  if ('list' in answer) {
    const { list, resourceVersion, next } = answer
    const metadata = { resourceVersion, ...(next === undefined ? {} : { continue: next }) }
    yield Buffer.from(JSON.stringify({ metadata, items: list }))
    return
  }
  const lines = 'lines' in answer ? answer.lines : answer.hangsAfter
  for (const line of lines) yield Buffer.from(`${JSON.stringify(line)}\n`)
  if ('lines' in answer) return
  await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error())))
}

/** Finds the resource unless it is told to miss it so many times first. */
export function scriptedDiscovery(misses: readonly boolean[] = []): Discovery {
  let asked = 0
  return {
    find: async () =>
      misses[asked++] === true
        ? undefined
        : { apiVersion: 'v1', kind: 'Service', namespaced: true },
  }
}
