import { L4Protocol } from '../../model/flow-view.ts'
import { fieldTable, type WireReader } from './wire-reader.ts'

/** What is read of each message, by the numbers of proto/flow/flow.proto. */
const LAYER4 = fieldTable([], [1, 2, 3, 4, 5])
const TCP = fieldTable([1, 2], [3])
const PORTS = fieldTable([1, 2], [])
const NO_PORTS = fieldTable([], [])
const TCP_FLAGS = fieldTable([1, 2, 3, 4, 5, 6, 7, 8, 9], [])

/** By the field numbers of `flow.Layer4`. */
const PROTOCOLS = [
  L4Protocol.none,
  L4Protocol.tcp,
  L4Protocol.udp,
  L4Protocol.icmp,
  L4Protocol.icmp6,
  L4Protocol.sctp,
]
const RECORDS = [NO_PORTS, TCP, PORTS, NO_PORTS, NO_PORTS, PORTS]
/** It is a oneof; of several records, which no agent sends, the highest counts, as in MessageView. */
const RANKS = [0, 5, 4, 2, 1, 3]

/** A `flow.Layer4`, moved from message to message. */
export class WireLayer4 {
  protocol: number = L4Protocol.none
  sourcePort = 0
  destinationPort = 0
  tcpFlags = 0

  clear(): void {
    this.protocol = L4Protocol.none
    this.sourcePort = 0
    this.destinationPort = 0
    this.tcpFlags = 0
  }

  read(reader: WireReader, outer: number): void {
    this.clear()
    let rank = 0
    for (const end = reader.enter(outer); reader.pos < end; ) {
      const field = reader.next(end, LAYER4)
      if (field === 0) continue
      const own = RANKS[field] ?? 0
      this.#record(reader, end, RECORDS[field] ?? NO_PORTS, own >= rank)
      if (own < rank) continue
      this.protocol = PROTOCOLS[field] ?? L4Protocol.none
      rank = own
    }
  }

  #record(reader: WireReader, outer: number, fields: Uint8Array, counts: boolean): void {
    let sourcePort = 0
    let destinationPort = 0
    let flags = 0
    for (const end = reader.enter(outer); reader.pos < end; ) {
      switch (reader.next(end, fields)) {
        case 1:
          sourcePort = reader.uint32(end)
          break
        case 2:
          destinationPort = reader.uint32(end)
          break
        case 3:
          flags = flagsOf(reader, end)
          break
      }
    }
    if (!counts) return
    this.sourcePort = sourcePort
    this.destinationPort = destinationPort
    this.tcpFlags = flags
  }
}

/** The bits of `TcpFlag` stand in the order of the fields. */
function flagsOf(reader: WireReader, outer: number): number {
  let flags = 0
  for (const end = reader.enter(outer); reader.pos < end; ) {
    const field = reader.next(end, TCP_FLAGS)
    if (field === 0) continue
    const bit = 1 << (field - 1)
    flags = reader.uint32(end) === 0 ? flags & ~bit : flags | bit
  }
  return flags
}
