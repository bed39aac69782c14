package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/bench/isoload"
	"github.com/tranzit/tranzit/iso"
)

// benchISOCommand loads or plays an ISO 8583 host, without the switch.
func benchISOCommand() *cobra.Command {
	c := &cobra.Command{Use: "iso", Short: "Load an ISO 8583 host in any dialect, or answer as one"}
	c.AddCommand(isoClientCommand(), isoServerCommand())
	return c
}

func isoClientCommand() *cobra.Command {
	var o isoload.Options
	var dialect, mix string
	keys := map[string]string{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "client --connect ADDR[,ADDR...]",
		Short: "Sign on to a host and load it with ISO 8583 messages",
		Long: `Client drives any ISO 8583 host in any dialect. Every link signs on first, then
sends a mix of messages whose trace and reference numbers are all different.
Answers are matched by the dialect's keys and held against their requests.

Without --rate the loop is closed: every link keeps --in-flight messages
unanswered. With --rate it is open: messages are due at that rate whatever the
host does, and latency counts from the moment they were due.

A message without an answer in --timeout counts as a timeout; with --reverse a
reversal is sent for it, once. An answer that comes later matches nothing and
is counted so. A link that ends is opened and signed on again.

  tranzit bench iso client --connect 127.0.0.1:9101 --rate 20000 --links 4 \
      --mix purchase=80,authorization=10,reversal=8,echo=2 --duration 30s`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Dialect, err = iso.Resolve(dialect); err != nil {
				return err
			}
			if o.Keys, err = testKeys(o.Dialect, keys); err != nil {
				return err
			}
			if mix != "" {
				if o.Mix, err = isoload.ParseMix(mix); err != nil {
					return usageError{err}
				}
			}
			o.EnsureDefaults()
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			o.Progress = cmd.ErrOrStderr()
			r, err := isoload.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), r)
			} else {
				err = r.WriteText(cmd.OutOrStdout())
			}
			if err == nil && r.Answered == 0 {
				err = errors.New("the host answered nothing")
			}
			return err
		},
	}
	c.Flags().StringVar(&dialect, "dialect", "ascii87", "built-in dialect or dialect file")
	testKeyFlag(c, &keys)
	c.Flags().StringVar(&mix, "mix", "", "weights of the messages: purchase=, authorization=, reversal=, echo= (default purchase=1)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	isoLoadFlags(c, &o)
	return c
}

// isoLoadFlags are the flags that fill the options as they stand.
func isoLoadFlags(c *cobra.Command, o *isoload.Options) {
	flags := c.Flags()
	flags.StringSliceVar(&o.Connect, "connect", nil, "addresses of the host, host:port")
	flags.IntVar(&o.Links, "links", 1, "links to each address")
	flags.BoolVar(&o.SkipSignOn, "no-sign-on", false, "send no sign-on")
	flags.Float64Var(&o.Rate, "rate", 0, "messages due per second; 0: closed loop")
	flags.BoolVar(&o.Poisson, "poisson", false, "with --rate: random instead of even spacing")
	flags.IntVar(&o.InFlight, "in-flight", 0, "unanswered messages of a link (default 64, with --rate 4096)")
	flags.BoolVar(&o.Reverse, "reverse", false, "send a reversal for what was not answered")
	flags.DurationVarP(&o.Duration, "duration", "d", 0, "measured time (default 10s)")
	flags.DurationVar(&o.Warmup, "warmup", 0, "time before that (default 1s, negative: none)")
	flags.DurationVar(&o.Timeout, "timeout", 0, "wait for an answer (default: the dialect's)")
	flags.Uint64Var(&o.Seed, "seed", 0, "of mix and spacing (default 1)")
	flags.Uint64Var(&o.First, "first", 0, "number that trace and reference numbers count from (default: at random)")
	flags.StringVar(&o.Card, "card", "", "card number (default 4111111111111111)")
	flags.Int64Var(&o.Amount, "amount", 0, "amount in minor units (default 12500)")
	flags.StringVar(&o.Currency, "currency", "", "ISO 4217 alphabetic code (default EUR)")
	flags.StringVar(&o.Terminal, "terminal", "", "terminal, DE41 (default TERM0001)")
	flags.StringVar(&o.Merchant, "merchant", "", "merchant, DE42 (default MERCHANT0000001)")
	flags.StringVar(&o.MCC, "mcc", "", "merchant category code, DE18 (default 5411)")
	flags.StringVar(&o.Acquirer, "acquirer", "", "acquiring institution, DE32 (default 123456)")
}

func isoServerCommand() *cobra.Command {
	var o isoload.HostOptions
	var dialect string
	keys := map[string]string{}
	c := &cobra.Command{
		Use:   "server --listen ADDR",
		Short: "Answer as a host, with a mix of response codes",
		Long: `Server is the simulated bank as a target for load: it asks for no sign-on and
answers purchases and authorizations with response codes drawn by their weights.
The test cards of tranzit bank count where --codes is not given. It keeps books of
about 150 bytes a message; tranzit bank has every other fault.

  tranzit bench iso server --listen 127.0.0.1:9101 --codes 00=95,51=5 --delay 20ms`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Dialect, err = iso.Resolve(dialect); err != nil {
				return err
			}
			if o.Keys, err = testKeys(o.Dialect, keys); err != nil {
				return err
			}
			host, err := isoload.NewHost(o)
			if err != nil {
				return usageError{err}
			}
			if err := host.Start(); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "host %s listens on %s\n", o.Dialect.ID(), host.Addr())
			<-cmd.Context().Done()
			return host.Close()
		},
	}
	c.Flags().StringVar(&dialect, "dialect", "ascii87", "built-in dialect or dialect file")
	testKeyFlag(c, &keys)
	c.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:9101", "address to listen on")
	c.Flags().DurationVar(&o.Delay, "delay", 0, "think time before every answer")
	c.Flags().StringVar(&o.Codes, "codes", "", "response codes and their weights, like 00=95,51=5")
	c.Flags().StringVar(&o.Books, "books", "", "address for the books, as JSON over HTTP; empty: none")
	return c
}
