import { fileURLToPath } from 'node:url'
import type * as grpc from '@grpc/grpc-js'
import * as protoLoader from '@grpc/proto-loader'

/** `proto/` lies beside `src/` in the repository and beside `dist/` in the package. */
const PROTO_DIRECTORY = fileURLToPath(new URL('../../proto', import.meta.url))

/**
 * How messages become objects:
 * field names as in the .proto files (`IP`, `l4`, `node_name`); a field that is not set is absent;
 * enums are their numbers, so an unknown one survives; 64-bit integers are numbers, exact up to
 * 2^53 (times, latencies and counts are; `socket_cookie` and `ip_trace_id` may be rounded);
 * wrapped values are `{value}`, with `value` absent where it is 0 or false; each oneof also shows
 * the name of the field that is set (`response_types`, `protocol`, `record`).
 */
const OPTIONS: protoLoader.Options = {
  keepCase: true,
  longs: Number,
  enums: Number,
  defaults: false,
  oneofs: true,
  includeDirs: [PROTO_DIRECTORY],
}

/** Definition of `observer.Observer`, for servers and for raw calls. */
export function observerService(): grpc.ServiceDefinition {
  return serviceOf('observer.Observer')
}

/** Definition of `peer.Peer`, for servers and for raw calls. */
export function peerService(): grpc.ServiceDefinition {
  return serviceOf('peer.Peer')
}

let loaded: protoLoader.PackageDefinition | undefined

/** @throws {Error} when the package was installed without its `proto/`. */
function serviceOf(name: string): grpc.ServiceDefinition {
  loaded ??= protoLoader.loadSync(['observer/observer.proto', 'peer/peer.proto'], OPTIONS)
  return loaded[name] as grpc.ServiceDefinition
}

/** Fields of a message, or values of an enum, as their .proto file declares them. */
export interface ProtoType {
  readonly field?: readonly ProtoField[]
  readonly value?: readonly { readonly name: string; readonly number: number }[]
}

export interface ProtoField {
  readonly name: string
  /** `TYPE_MESSAGE`, `TYPE_ENUM`, `TYPE_UINT64` … */
  readonly type: string
  readonly label: string
  /** Of messages and enums: relative to the package, or whole. */
  readonly typeName: string
}

/** `name` is whole (`flow.Flow`); undefined for what the .proto files do not declare. */
export function protoType(name: string): ProtoType | undefined {
  loaded ??= protoLoader.loadSync(['observer/observer.proto', 'peer/peer.proto'], OPTIONS)
  return loaded[name]?.['type'] as ProtoType | undefined
}
