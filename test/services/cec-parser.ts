import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { binaryOf } from './catalogue.ts'
import { type JsonObject, parseObject } from './json-object.ts'

/** A resource that the agent leaves out silently, while it applies the rest. */
interface DroppedResource {
  /** Position in `spec.resources`. */
  readonly index: number
  readonly name: string
  readonly typeUrl: string
  readonly reason: string
}

/** Envoy's messages in protojson (camelCase), names qualified, sorted by name. */
export interface CecResources {
  readonly listeners: readonly JsonObject[]
  readonly routes: readonly JsonObject[]
  readonly clusters: readonly JsonObject[]
  readonly endpoints: readonly JsonObject[]
  readonly secrets: readonly JsonObject[]
}

/** What an agent would make of an object. `warnings`: the lines that it would log. */
export type ParsedCec = {
  readonly dropped: readonly DroppedResource[]
  readonly warnings: readonly JsonObject[]
} & (
  | { readonly accepted: true; readonly resources: CecResources }
  | { readonly accepted: false; readonly reason: string }
)

/**
 * Puts a CiliumEnvoyConfig or CiliumClusterwideEnvoyConfig (YAML or JSON) through Cilium's parser.
 * Accepted is not applied: what stands inside an `Any` is Envoy's to judge.
 * @throws {Error} if `yaml` holds neither kind.
 */
export async function parseCec(yaml: string): Promise<ParsedCec> {
  const child = spawn(binaryOf('cec-parser', 'cec-parser'), [], { stdio: 'pipe' })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  child.stdin.on('error', () => {}) // It ended before it read all: the exit code tells.
  child.stdin.end(yaml)
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  if (code !== 0) throw new Error(`Cannot parse the Envoy config: ${err.trim()}`)
  return parseObject(out) as unknown as ParsedCec
}
