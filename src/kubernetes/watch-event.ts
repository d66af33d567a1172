import { errorOfAnswer } from './api-error.ts'
import { fieldsOf, type KubernetesObject, keptObject, textAt } from './kubernetes-object.ts'

/** What one line of a watch says. `bookmark`: nothing but how far the server has come. */
export type WatchEvent =
  | {
      readonly type: 'put' | 'deleted'
      readonly object: KubernetesObject
      readonly resourceVersion: string
    }
  | { readonly type: 'bookmark'; readonly resourceVersion: string }

const TYPES = { ADDED: 'put', MODIFIED: 'put', DELETED: 'deleted' } as const

/**
 * Reads one line of a watch; `action` for the message of an error.
 * @throws {ApiError} for an ERROR event, as of an answer with its code.
 * @throws {SyntaxError} for what is no event: the stream cannot be trusted any more.
 */
export function readWatchEvent(line: string, action: string): WatchEvent {
  const event: unknown = JSON.parse(line)
  const type = textAt(event, 'type')
  const { object } = fieldsOf(event)
  if (type === 'ERROR') {
    const { code } = fieldsOf(object)
    throw errorOfAnswer(action, typeof code === 'number' ? code : 500, object)
  }
  const resourceVersion = textAt(fieldsOf(object)['metadata'], 'resourceVersion')
  if (type === 'BOOKMARK' && resourceVersion !== '') return { type: 'bookmark', resourceVersion }
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') {
    const kept = keptObject(object, { apiVersion: '', kind: '' })
    if (kept !== undefined && resourceVersion !== '') {
      return { type: TYPES[type], object: kept, resourceVersion }
    }
  }
  throw new SyntaxError(`not a watch event: type "${type.slice(0, 40)}"`)
}
