// Package scenario reads a scenario file and works out what it means.
//
// Three types, three steps: Parse turns the file into a Spec, which holds what
// was typed and where; Resolve turns the Spec into a Scenario, which holds what
// is meant, with every default, address and route; package lab makes it run.
// Nothing here touches the kernel.
//
// Every complaint, from either step, names file, line and column, shows the
// source line, and suggests the word that was probably meant.
package scenario
