package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/iso"
)

func dialectDescribeCommand() *cobra.Command {
	var markdown, asJSON bool
	c := &cobra.Command{
		Use:   "describe NAME|FILE",
		Short: "Print a dialect as tables for people, inherited parts included",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			page, err := iso.Describe(names[0])
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), page)
			case markdown:
				return page.WriteMarkdown(cmd.OutOrStdout())
			}
			return page.WriteText(cmd.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&markdown, "markdown", false, "print the dialect's page of documentation")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagsMutuallyExclusive("markdown", "json")
	return c
}

func dialectDiffCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say in what two dialects differ: built-in names or files",
		Long: `Diff compares what two dialects say, not how their files are written: order,
comments and what a file inherits make no difference. Golden vectors are left out.`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, names []string) error {
			all, err := iso.Compare(names[0], names[1])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]any{"differences": append([]iso.Difference{}, all...)})
			}
			printDifferences(cmd.OutOrStdout(), all)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printDifferences(out io.Writer, all []iso.Difference) {
	if len(all) == 0 {
		fmt.Fprintln(out, "the dialects say the same")
	}
	block := ""
	for _, d := range all {
		if d.Block != block {
			block = d.Block
			fmt.Fprintln(out, block)
		}
		name := ""
		if d.Name != "" {
			name = "  (" + d.Name + ")"
		}
		switch {
		case d.Old == "":
			fmt.Fprintf(out, "  + %s: %s%s\n", d.Path, d.New, name)
		case d.New == "":
			fmt.Fprintf(out, "  - %s: %s%s\n", d.Path, d.Old, name)
		default:
			fmt.Fprintf(out, "  ~ %s: %s -> %s%s\n", d.Path, d.Old, d.New, name)
		}
	}
}

func dialectEncodeCommand() *cobra.Command {
	var name string
	var body, raw, fromBank bool
	keys := map[string]string{}
	c := &cobra.Command{
		Use:   "encode [FILE]",
		Short: "Write a message as bytes, from JSON: its fields, or an operation and its values",
		Long: `Encode reads one JSON object from a file or stdin and prints the frame in hex. Either
  {"mti": "0800", "fields": {"7": "1127101500", "11": "000001", "70": "301"}}
with binary fields in hex, or an operation and what it is about:
  {"operation": "purchase", "values": {"amount": 1000, "currency": "EUR", "pan": "4111111111111111", "expiry": "3012",
   "stan": 7, "rrn": "633110000007", "sent_at": "2026-11-27T10:15:00Z", "terminal": "TERM0001", "merchant": "MERCHANT0000001",
   "mcc": "5411", "name_location": "DEMO SHOP", "country": "643", "acquirer": "123456"}}
for which the dialect fills the fields and checks its rules. With --key the frame has the authentication code that the
dialect wants of a message to the bank, or with --from-bank of the bank's.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			d, err := iso.Resolve(name)
			if err != nil {
				return err
			}
			text, err := readInput(cmd, files)
			if err != nil {
				return err
			}
			m, err := messageFromJSON(d, text)
			if err != nil {
				return err
			}
			var out []byte
			switch {
			case body:
				out, err = d.AppendBody(nil, m)
			case len(keys) > 0:
				out, err = encodeSealed(d, m, keys, fromBank)
			default:
				out, err = d.AppendFrame(nil, m)
			}
			if err != nil {
				return err
			}
			if !raw {
				out = append([]byte(hex.EncodeToString(out)), '\n')
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
	c.Flags().StringVarP(&name, "dialect", "d", "ascii87", "built-in dialect or dialect file")
	c.Flags().BoolVar(&body, "body", false, "leave out length prefix and header")
	c.Flags().BoolVar(&raw, "raw", false, "print the bytes themselves")
	c.Flags().BoolVar(&fromBank, "from-bank", false, "with --key: the code is that of a message from the bank")
	testKeyFlag(c, &keys)
	c.MarkFlagsMutuallyExclusive("body", "key")
	return c
}

// encodeSealed is a frame with its code.
func encodeSealed(d *iso.Dialect, m *iso.Message, given map[string]string, fromBank bool) ([]byte, error) {
	seal := iso.Seal{Flow: iso.ToBank}
	if fromBank {
		seal.Flow = iso.FromBank
	}
	keys, err := testKeys(d, given)
	switch {
	case err != nil:
		return nil, err
	case !d.Sealed(m, seal.Flow):
		return nil, fmt.Errorf("dialect %s has no authentication code in a %s that goes this way", d.ID(), m.MTI)
	}
	seal.Keys = keys
	return d.AppendSealed(nil, m, seal)
}

// readInput reads the file that is named, else stdin.
func readInput(cmd *cobra.Command, files []string) ([]byte, error) {
	if len(files) == 1 {
		return os.ReadFile(files[0])
	}
	return io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<20))
}

func dialectWiresharkCommand() *cobra.Command {
	var ports []int
	c := &cobra.Command{
		Use:   "wireshark NAME|FILE",
		Short: "Print a Wireshark dissector for a dialect, in Lua; card data is not shown",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			d, err := iso.Resolve(names[0])
			if err != nil {
				return err
			}
			for _, p := range ports {
				if p < 1 || p > 65535 {
					return usageError{fmt.Errorf("--port %d is not within 1..65535", p)}
				}
			}
			return d.WriteDissector(cmd.OutOrStdout(), ports)
		},
	}
	c.Flags().IntSliceVar(&ports, "port", []int{8583}, "TCP port of the bank; may be given several times")
	return c
}
