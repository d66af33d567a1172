import type { HubbleClient, PeerChange } from '../../../src/hubble/channel.ts'
import type { CallEnd } from '../../../src/hubble/transport/transport.ts'

const UNIMPLEMENTED: CallEnd = { code: 12, details: '' }
const CANCELLED: CallEnd = { code: 1, details: '' }

type OnChange = (change: PeerChange) => void

/** A peer service: tells all peers first, then each change. */
export class SimulatedPeers {
  /** By name. */
  readonly #addresses = new Map<string, string>()
  readonly #followers = new Set<OnChange>()

  add(name: string, address = name): void {
    const type = this.#addresses.has(name) ? 'updated' : 'added'
    this.#addresses.set(name, address)
    this.#tell(type, name, address)
  }

  delete(name: string): void {
    const address = this.#addresses.get(name)
    if (address === undefined) return
    this.#addresses.delete(name)
    this.#tell('deleted', name, address)
  }

  readonly connect = async (): Promise<HubbleClient> => ({
    openFlows: async () => UNIMPLEMENTED,
    serverStatus: async () => UNIMPLEMENTED,
    nodes: async () => UNIMPLEMENTED,
    followPeers: async (onChange, signal) => {
      for (const [name, address] of this.#addresses) onChange(changeOf('added', name, address))
      this.#followers.add(onChange)
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      this.#followers.delete(onChange)
      return CANCELLED
    },
    close: () => {},
  })

  #tell(type: PeerChange['type'], name: string, address: string): void {
    for (const onChange of this.#followers) onChange(changeOf(type, name, address))
  }
}

function changeOf(type: PeerChange['type'], name: string, address: string): PeerChange {
  return { type, name, address, serverName: undefined }
}
