/** Where CECs stand: a cluster, or a directory. Rejects with an `EnforceError` that says whether to retry. */
export interface CecTarget {
  /** Every CEC of ours (label managed-by weir), as it stands there. */
  list(): Promise<readonly object[]>
  /**
   * Creates or replaces the whole CEC of that namespace and name; resolves once it stands there.
   * `undo`: what stood there is to have no rules any more. Where somebody has removed it meanwhile,
   * nothing is to be undone: a target that can tell makes none anew, and resolves.
   */
  write(cec: object, how?: { readonly undo: boolean }): Promise<void>
}
