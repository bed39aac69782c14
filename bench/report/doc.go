// Package report turns what the bench suite wrote as JSON into one HTML page: runs,
// comparisons, curves, goal tables. The page needs nothing else: styles and plots
// are inside it, there is no script, and every text from a file is escaped.
//
// The package also holds the documents that several commands write (Curve, Goals,
// Comparison) and the description of the machine they were measured on.
package report
