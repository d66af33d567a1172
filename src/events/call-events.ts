import type { ApiCall } from '../model/api-call.ts'
import type { Delivery, Encoded, Sink } from '../pipeline/contract.ts'

/** Encodes each call as a CloudEvent and offers it: keyed by client, so that one client's calls keep their order. */
export function createCallEvents(
  delivery: Pick<Delivery, 'offer'>,
  encode: (call: ApiCall) => Encoded,
): Sink<ApiCall> {
  return {
    accept: (call) => delivery.offer(encode(call)),
    advance: () => {},
  }
}
