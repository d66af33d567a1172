import type { ServiceDefinition, sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js'

/** `grpc.health.v1.HealthCheckResponse{status: SERVING}` on the wire. */
const SERVING = Buffer.from([0x08, 0x01])

const method = {
  requestStream: false,
  requestSerialize: (): Buffer => Buffer.alloc(0),
  requestDeserialize: (): object => ({}),
  responseSerialize: (): Buffer => SERVING,
  responseDeserialize: (): object => ({}),
} as const

/**
 * gRPC's standard health service, which `hubble status` asks first. It has only one thing to say,
 * so it needs no message definitions. Source: grpc/grpc `src/proto/grpc/health/v1/health.proto`.
 */
export const HEALTH_SERVICE: ServiceDefinition = {
  Check: { path: '/grpc.health.v1.Health/Check', responseStream: false, ...method },
}

export const HEALTH: UntypedServiceImplementation = {
  Check: (_call: unknown, callback: sendUnaryData<object>) => callback(null, {}),
}
