// Command tranzit is the one binary of Tranzit, an ISO 8583 bank-facing
// payment switch: the switch, its simulated banks, its tools and its load
// tester.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes of every command.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError marks an error as wrong usage, exit code 2.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := rootCommand().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "tranzit:", err)
	if isUsage(err) {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailed)
}

// isUsage tells wrong usage from failure; two kinds of it come from the
// library as plain text.
func isUsage(err error) bool {
	return errors.As(err, new(usageError)) || strings.HasPrefix(err.Error(), "required flag") ||
		strings.HasPrefix(err.Error(), "unknown command")
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tranzit",
		Short: "An ISO 8583 payment switch: HTTP in, banks out, nothing lost",
		Long: `Tranzit takes payments from merchants over HTTP, turns them into ISO 8583
messages and routes them over persistent TCP links to the bank the merchant
chose. A durable journal stands between, so that no payment is ever in a state
the journal cannot explain.

Begin with:  tranzit demo`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(demoCommand(), serveCommand(), configCommand(), bankCommand(), benchCommand(), journalCommand(),
		dialectCommand(), certifyCommand(), bankLinkCommand(), safCommand(), merchantCommand(), operatorCommand(), applyCommand(), keysCommand(), bankKeysCommand(), webhookCommand(), vaultCommand(), versionCommand())
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		refuseStrangers(c)
	}
	return root
}

// helpCommand replaces the library's, for which help about a command that does
// not exist is a success.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		RunE: func(_ *cobra.Command, names []string) error {
			c, rest, err := root.Find(names)
			switch {
			case err != nil:
				return err
			case len(rest) > 0:
				return usageError{fmt.Errorf("%s has no command %q", c.CommandPath(), rest[0])}
			}
			return c.Help()
		},
	}
}

// refuseStrangers makes a group called without one of its commands, or with an
// unknown one, wrong usage rather than help and success.
func refuseStrangers(c *cobra.Command) {
	if c.HasSubCommands() && c.RunE == nil {
		c.Args, c.ValidArgsFunction = cobra.ArbitraryArgs, nil
		c.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("%s needs a command; see %s --help", cmd.CommandPath(), cmd.CommandPath())}
			}
			return usageError{fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0])}
		}
	}
	for _, sub := range c.Commands() {
		refuseStrangers(sub)
	}
}

// args wraps cobra's argument checks so that their errors count as wrong usage
// and say what the usage is.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return usageError{fmt.Errorf("wrong number of arguments (%d); usage: %s", len(given), cmd.UseLine())}
		}
		return nil
	}
}

// Version of this build; releases set it with -ldflags.
var version = "0.1.0-dev"

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			built := "unknown Go"
			if info, ok := debug.ReadBuildInfo(); ok {
				built = info.GoVersion
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]string{"version": version, "go": built})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "tranzit %s (%s)\n", version, built)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
