import type { Writable } from 'node:stream'
import { SinkError } from '../errors.ts'
import type { Encoded } from '../pipeline/contract.ts'
import type { Publisher } from './publisher.ts'

const NAME = 'stdout'
const ATTRIBUTE_PREFIX = 'ce_'

/**
 * Writes one line an event: a CloudEvent in JSON, structured mode. Waits until a slow reader has
 * taken what was written. A stream that ended cannot be used again; it is not ours to close.
 */
export function createStdoutPublisher(stream: Writable): Publisher {
  const gone = (cause: unknown): SinkError =>
    new SinkError('Cannot write to the output', { sink: NAME, retryable: false, cause })
  // The process's own streams count as writable even then.
  let failure: Error | undefined
  stream.on('error', (error) => {
    failure ??= error
  })
  return {
    name: NAME,
    async open() {
      if (failure !== undefined || !stream.writable) throw gone(failure)
    },
    publish(batch) {
      return new Promise((resolve, reject) => {
        stream.write(batch.map(lineOf).join(''), (error) => {
          if (!error) return resolve()
          failure ??= error
          reject(gone(error))
        })
      })
    },
    async close() {},
  }
}

function lineOf({ headers, value }: Encoded): string {
  const event: Record<string, string> = {}
  for (const [name, text] of Object.entries(headers)) {
    if (name === 'content-type') event['datacontenttype'] = text
    else
      event[name.startsWith(ATTRIBUTE_PREFIX) ? name.slice(ATTRIBUTE_PREFIX.length) : name] = text
  }
  const attributes = JSON.stringify(event).slice(0, -1)
  return value.length === 0 ? `${attributes}}\n` : `${attributes},"data":${value.toString()}}\n`
}
