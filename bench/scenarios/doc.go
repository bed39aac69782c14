// Package scenarios reads the load of `tranzit bench run --scenario` from YAML: who
// pays, by what card, at which banks, how often, and what goes wrong meanwhile. It
// holds the scenarios that come with the program, and prepares a switch and simulated
// banks for a scenario to run against.
package scenarios
