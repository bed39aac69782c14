package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/iso"
)

func dialectCommand() *cobra.Command {
	c := &cobra.Command{Use: "dialect", Short: "Work with the banks' dialects of ISO 8583"}
	c.AddCommand(dialectListCommand(), dialectShowCommand(), dialectNewCommand(), dialectLintCommand(), dialectDescribeCommand(), dialectDiffCommand(),
		dialectEncodeCommand(), dialectDecodeCommand(), dialectWiresharkCommand())
	return c
}

func dialectListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the built-in dialects",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, name := range iso.Builtins() {
				d, err := iso.Builtin(name)
				if err != nil {
					return err
				}
				fmt.Fprintf(w, "%s\tversion %d\t%s\n", d.ID(), d.Version(), d.Title())
			}
			return w.Flush()
		},
	}
}

func dialectShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Print the file of a built-in dialect, the best start for a bank's own",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			text, err := iso.BuiltinFile(names[0])
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}

func dialectLintCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Check dialect files and their golden vectors, against moov's codec too",
		Long: `Lint lists every error of each file with its line and what to write instead, runs the golden vectors in both
directions, here and by moov's codec, and warns of settings that load but are unwise. Warnings alone are no failure.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			return lintFiles(cmd.OutOrStdout(), files, asJSON, iso.LintFile)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// lintFiles prints what is wrong with each file. Errors, unlike warnings, fail the
// command.
func lintFiles(out io.Writer, files []string, asJSON bool, lint func(file string) ([]iso.Problem, error)) error {
	found := []iso.Problem{}
	errors := 0
	for _, file := range files {
		problems, err := lint(file)
		if err != nil {
			return err
		}
		for _, p := range problems {
			if !p.Warning {
				errors++
			}
			if !asJSON {
				fmt.Fprintln(out, p)
			}
		}
		if len(problems) == 0 && !asJSON {
			fmt.Fprintf(out, "%s is good\n", file)
		}
		found = append(found, problems...)
	}
	if asJSON {
		if err := printJSON(out, map[string]any{"problems": found, "errors": errors}); err != nil {
			return err
		}
	}
	if errors > 0 {
		return fmt.Errorf("%d errors", errors)
	}
	return nil
}

func dialectDecodeCommand() *cobra.Command {
	var name string
	var body, asJSON bool
	c := &cobra.Command{
		Use:   "decode [HEX]",
		Short: "Print a message field by field, masked; hex or raw bytes from the argument or stdin",
		Long: `Decode reads one frame (length prefix and header included, unless --body) in
hexadecimal or raw and prints it. Card data is masked. A message with or without
its length prefix is found out by itself when --body is not given.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			d, err := iso.Resolve(name)
			if err != nil {
				return err
			}
			var text []byte
			if len(given) == 1 {
				text = []byte(given[0])
			} else if text, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<20)); err != nil {
				return err
			}
			m, err := decodeAny(d, unhex(text), body)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]any{"mti": m.MTI.String(), "fields": d.Describe(m)})
			}
			printMessage(cmd.OutOrStdout(), d, m)
			return nil
		},
	}
	c.Flags().StringVarP(&name, "dialect", "d", "ascii87", "built-in dialect or dialect file")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&body, "body", false, "the input has no length prefix and no header")
	return c
}

// unhex reads hexadecimal text with any white space, and leaves anything else
// as it is.
func unhex(text []byte) []byte {
	packed := strings.Join(strings.Fields(string(text)), "")
	if raw, err := hex.DecodeString(packed); err == nil && len(raw) > 0 && !looksLikeASCII(packed) {
		return raw
	}
	return []byte(strings.TrimRight(string(text), "\r\n"))
}

// looksLikeASCII tells an all-ASCII message, which is itself made of hex
// digits, from hexadecimal: it begins with a message type, or with a length
// prefix that counts what follows.
func looksLikeASCII(s string) bool {
	if len(s) > 8 {
		var n int
		if _, err := fmt.Sscanf(s[:4], "%04d", &n); err == nil && n == len(s)-4 {
			return true
		}
	}
	return false
}

func decodeAny(d *iso.Dialect, raw []byte, body bool) (*iso.Message, error) {
	var m iso.Message
	if !body {
		inner, n, err := d.NextFrame(raw)
		if err == nil && n == len(raw) && inner != nil {
			if err := d.Decode(inner, &m); err != nil {
				return nil, err
			}
			return &m, nil
		}
	}
	if err := d.Decode(raw, &m); err != nil {
		if !body {
			return nil, fmt.Errorf("neither a whole frame nor a bare message of dialect %s: %w", d.ID(), err)
		}
		return nil, err
	}
	return &m, nil
}

func printMessage(out io.Writer, d *iso.Dialect, m *iso.Message) {
	for _, f := range d.Describe(m) {
		fmt.Fprintf(out, "%3d  %-44s %s\n", f.Number, f.Name, f.Value)
	}
}
