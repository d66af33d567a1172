import type { FlowView } from '../model/flow-view.ts'

/** A view that the room itself moves: it also tells one event from another. */
export interface FlowCursor extends FlowView {
  /**
   * 64 random bits of the flow's uuid, as two unsigned 32-bit integers: its first and its last eight
   * digits. Both 0 where there is no uuid (agents before 1.14).
   */
  readonly uuidHigh: number
  readonly uuidLow: number
}
