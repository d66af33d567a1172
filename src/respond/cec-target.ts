/** Where CECs stand: a cluster, or a directory. Rejects with an `EnforceError` that says whether to retry. */
export interface CecTarget {
  /** Every CEC of ours (label managed-by weir), as it stands there. */
  list(): Promise<readonly object[]>
  /** Creates or replaces the whole CEC of that namespace and name; resolves once it stands there. */
  write(cec: object): Promise<void>
}
