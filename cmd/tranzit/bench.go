package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/bare"
)

// benchFlags are the flags of `tranzit bench run` that are not bench.Options.
type benchFlags struct {
	data    string
	dialect string
	delay   string
	json    bool
	keep    bool
	bare    bool
	plain   bool
	cabinet bool // the switch has one
	scenarioFlags
}

func benchCommand() *cobra.Command {
	c := &cobra.Command{Use: "bench", Short: "Load a switch, measure it and check its money"}
	var o bench.Options
	var f benchFlags
	run := &cobra.Command{
		Use:   "run",
		Short: "Run one load, closed loop or at a rate, and print what was measured",
		Long: `Run starts a simulated bank and a switch as processes of their own, with real
sockets and a real journal, loads them over HTTP, and holds the bank's books
against the journal afterwards: a figure counts only if the money agrees.

Without --rate the loop is closed: every connection sends its next payment when
the last one is answered. With --rate it is open: payments are due at that rate
whatever the switch does, and latency counts from the moment they were due.
--arrivals gives the open loop phases, bursts and ramps:

` + arrivalsHelp + `

--scenario runs a whole story: who pays, with which cards, at which banks, and
what goes wrong meanwhile; tranzit bench scenarios lists those that come with the
program. --kill kills the switch in full traffic.

--target loads a switch that runs already.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cleanup, err := prepareBench(&o, f)
			if err != nil {
				return err
			}
			defer cleanup()
			return runBench(cmd, o, f.json)
		},
	}
	flags := run.Flags()
	flags.Float64Var(&o.Rate, "rate", 0, "payments due per second; 0: closed loop")
	flags.BoolVar(&o.Poisson, "poisson", false, "with --rate: random instead of even spacing")
	flags.IntVarP(&o.Connections, "connections", "c", 0, "connections (default 64, with --rate 512)")
	flags.IntVar(&o.Workers, "workers", 1, "threads of the generator")
	flags.DurationVarP(&o.Duration, "duration", "d", 0, "measured time (default 10s)")
	flags.DurationVar(&o.Warmup, "warmup", 0, "time before that (default 1s)")
	flags.Float64Var(&o.Duplicates, "duplicates", 0, "share of requests that repeat an earlier one, 0..1")
	flags.StringVar(&o.Target, "target", "", "base address of a running switch, http://host:port")
	flags.StringSliceVar(&o.Keys, "key", nil, "API keys for --target")
	flags.StringVar(&o.Admin, "admin", "", "admin address of --target, http://host:port")
	flags.StringSliceVar(&o.Books, "books", nil, "books of the simulated banks behind --target")
	flags.StringVar(&f.data, "data", "", "parent of the data directory (default: the system's temporary one)")
	flags.StringVar(&f.dialect, "dialect", "binary87", "dialect of the simulated bank")
	flags.StringVar(&f.delay, "bank-delay", "0s", "think time of the simulated bank")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.BoolVar(&f.keep, "keep", false, "keep the data directory")
	flags.BoolVar(&f.bare, "bare", false, "load the bare path instead of the switch: the floor that its cost is divided by")
	flags.BoolVar(&f.plain, "plain", false, "load the plain stack instead of the switch: stock libraries as they come")
	f.scenarioFlags.add(run, &o)
	c.AddCommand(benchScenariosCommand(), benchSearchCommand())
	c.AddCommand(run, bareCommand(), echoCommand(), plainCommand(), benchISOCommand())
	c.AddCommand(benchReportCommand(), benchCompareCommand(), benchCurveCommand(), benchGoalsCommand(), benchWebhooksCommand(), benchCabinetCommand(), benchDialectsCommand())
	return c
}

// runBench runs one load and prints what was measured. A run that does not count is
// an error.
func runBench(cmd *cobra.Command, o bench.Options, asJSON bool) error {
	o.Progress, o.Live = cmd.ErrOrStderr(), isTerminal(cmd.ErrOrStderr())
	result, err := bench.Run(cmd.Context(), o)
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(cmd.OutOrStdout(), result)
	} else {
		err = result.WriteText(cmd.OutOrStdout())
	}
	if err == nil && !result.Valid {
		err = fmt.Errorf("the run does not count; see above")
	}
	return err
}

// bareCommand is the process that `bench run --bare` loads.
func bareCommand() *cobra.Command {
	var o bare.Options
	c := &cobra.Command{
		Use:    "bare",
		Short:  "Serve the bare path: HTTP, two durable records, a framed echo, nothing else",
		Hidden: true,
		Args:   args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			setProcessors(0)
			s, err := bare.Start(o)
			if err != nil {
				return err
			}
			<-cmd.Context().Done()
			return s.Close()
		},
	}
	c.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:0", "HTTP address")
	c.Flags().StringVar(&o.Dir, "dir", "", "folder of the journal")
	c.Flags().StringVar(&o.Echo, "echo", "", "address of an echo")
	return c
}

// echoCommand is the bank of the bare path.
func echoCommand() *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:    "echo",
		Short:  "Send every frame back",
		Hidden: true,
		Args:   args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := bare.StartEcho(listen)
			if err != nil {
				return err
			}
			<-cmd.Context().Done()
			return e.Close()
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "TCP address")
	return c
}

const benchKey = "sk_test_bench_0123456789abcdef"

// prepareBench fills in the processes to start, unless a target is given.
func prepareBench(o *bench.Options, f benchFlags) (cleanup func(), err error) {
	if f.bare && f.plain {
		return nil, usageError{errors.New("--bare and --plain exclude each other")}
	}
	if f.scenario != "" {
		return prepareScenario(o, f)
	}
	if o.Target != "" {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp(f.data, "tranzit-bench-")
	if err != nil {
		return nil, err
	}
	cleanup = func() { _ = os.RemoveAll(dir) }
	if f.keep {
		cleanup = func() {}
	}
	var free [5]string
	for i := range free {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			cleanup()
			return nil, err
		}
		free[i] = l.Addr().String()
		defer l.Close()
	}
	api, control, host, books := free[0], free[1], free[2], free[3]
	config := filepath.Join(dir, "tranzit.yaml")
	text := strings.NewReplacer("API", api, "ADMIN", control, "DATA", filepath.Join(dir, "data"), "HOST", host, "DIALECT", f.dialect,
		"KEY", benchKey).Replace(benchConfig)
	if f.cabinet {
		text += "cabinet: {listen: " + free[4] + "}\n"
		o.Cabinet = "http://" + free[4]
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		cleanup()
		return nil, err
	}
	if o.Binary, err = os.Executable(); err != nil {
		cleanup()
		return nil, err
	}
	o.BankArgs = []string{"bank", "--dialect", f.dialect, "--listen", host, "--books", books, "--delay", f.delay}
	o.ServeArgs = []string{"serve", "--config", config}
	if f.bare {
		o.Keys, o.SkipMoney, o.BankAddr = []string{benchKey}, true, host
		o.BankArgs = []string{"bench", "echo", "--listen", host}
		o.ServeArgs = []string{"bench", "bare", "--listen", api, "--dir", filepath.Join(dir, "bare"), "--echo", host}
		o.Target, o.Admin = "http://"+api, "http://"+api
		return cleanup, nil
	}
	if f.plain {
		o.ServeArgs = []string{"bench", "plain", "--listen", api, "--dir", filepath.Join(dir, "plain"), "--bank", host, "--dialect", f.dialect, "--key", benchKey}
		control = api
	}
	o.Target, o.Admin, o.Books, o.Keys = "http://"+api, "http://"+control, []string{"http://" + books}, []string{benchKey}
	if f.keep {
		fmt.Fprintf(os.Stderr, "data in %s\n", dir)
	}
	return cleanup, nil
}

const benchConfig = `listen: API
admin: ADMIN
data: DATA
log: {level: warn}
webhooks: {allow_http: true, allow_networks: [127.0.0.0/8]}
banks:
  - id: bench
    dialect: DIALECT
    endpoints: ["HOST"]
    links_per_endpoint: 2
    window: 65536
    timeouts: {connect: 5s, write: 3s, response: 40s, reversal: 40s}
    institution: "123456"
merchants:
  - id: mer_bench
    name: BENCH SHOP
    city: BERLIN
    country: "276"
    mcc: "5411"
    keys: [{mode: test, key: KEY}]
    banks: [{bank: bench, merchant_id: MERCHANT0000001, terminals: [TERM0001, TERM0002, TERM0003, TERM0004]}]
`
