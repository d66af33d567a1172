import { protoType } from './proto.ts'

let names: ReadonlyMap<number, string> | undefined

/** Name of a `flow.DropReason` (`POLICY_DENIED`); its number where the .proto files do not know it. */
export function dropReasonName(reason: number): string {
  names ??= new Map(protoType('flow.DropReason')?.value?.map((v) => [v.number, v.name]))
  return names.get(reason) ?? String(reason)
}
