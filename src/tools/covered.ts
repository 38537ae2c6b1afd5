/** Said wherever money is: nobody may take the ceilings for more than they are. */
export const COVERED =
  'Covered by ceilings and receipts: calls to models made through this seed. Not covered: what a client spends under its own subscription or key.';
