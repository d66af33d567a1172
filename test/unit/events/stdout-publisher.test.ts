import { PassThrough, Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { encodeCall } from '../../../src/events/encode-call.ts'
import { createStdoutPublisher } from '../../../src/events/stdout-publisher.ts'
import { callOf } from './samples.ts'

const event = encodeCall({ topic: 'weir.calls', cluster: 'prod' }, callOf())

describe('createStdoutPublisher()', () => {
  it('writes one structured CloudEvent a line', async () => {
    const stream = new PassThrough()
    const publisher = createStdoutPublisher(stream)
    await publisher.open()
    const hostile = encodeCall({ topic: 't', cluster: 'c' }, callOf({ exchange: { path: '/\n"' } }))
    await publisher.publish([event, hostile])
    const lines = String(stream.read()).split('\n')
    expect(lines).toHaveLength(3)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      specversion: '1.0',
      id: event.headers['ce_id'],
      type: 'dev.weir.call.v1',
      datacontenttype: 'application/json',
      data: { path: '/orders/v1/7' },
    })
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ data: { path: '/\n"' } })
  })

  it('has no data where a dead letter has none', async () => {
    const stream = new PassThrough()
    await createStdoutPublisher(stream).publish([{ ...event, value: Buffer.alloc(0) }])
    expect(JSON.parse(String(stream.read()))).not.toHaveProperty('data')
  })

  it('waits for a slow reader', async () => {
    const reader = Promise.withResolvers<void>()
    const stream = new Writable({
      highWaterMark: 1,
      write: (_chunk, _encoding, done) => void reader.promise.then(() => done()),
    })
    let written = false
    const publishing = createStdoutPublisher(stream)
      .publish([event])
      .then(() => {
        written = true
      })
    await new Promise(setImmediate)
    expect(written).toBe(false)
    reader.resolve()
    await publishing
    expect(written).toBe(true)
  })

  it('fails for good once the reader is gone, without ending the process', async () => {
    const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) })
    const publisher = createStdoutPublisher(stream)
    await expect(publisher.publish([event])).rejects.toMatchObject({ retryable: false })
    await new Promise(setImmediate)
    await expect(publisher.publish([event])).rejects.toMatchObject({ retryable: false })
    await expect(publisher.open()).rejects.toMatchObject({ retryable: false })
  })
})
