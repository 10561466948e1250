package postgres

// RowsSQL is the one statement that does not go through bun, whose hooks show the others.
const RowsSQL = rowsSQL
