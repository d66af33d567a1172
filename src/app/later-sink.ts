import type { Sink } from '../pipeline/contract.ts'

/** A sink that comes to be, or not, after whoever hands its records on; without it they count as taken. */
export function laterSink<T>(sink: () => Sink<T> | undefined): Sink<T> {
  return {
    accept: (record) => sink()?.accept(record) ?? 0,
    advance: (eventMs, wallMs) => sink()?.advance(eventMs, wallMs),
  }
}
