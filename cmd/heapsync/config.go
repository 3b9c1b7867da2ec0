package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2" // the configuration file's format
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/heapsync/heapsync/blocks/tree"
)

// config is every setting of the server. Each is a flag, an environment variable
// (HEAPSYNC_ and the flag's name) and a line of the configuration file, in that
// order of precedence.
type config struct {
	Data           string
	Listen         string
	PublicURL      string
	Name           string
	Mode           string
	Origins        []string
	TrustedProxies []string
	RateLimits     string
	LogLevel       string
	LogFormat      string
	MaxConnections int
	MaxUpdate      int
	QueueBytes     int
	AccessTTL      time.Duration
	RefreshTTL     time.Duration
	SnapshotTail   int64
	Collect        int64
	HistoryAll     time.Duration
	HistoryHourly  time.Duration
	HistoryDaily   time.Duration
	HistoryUpdates int64
	TypeDepth      int
	OrderSteps     int64
	HeldPerBlock   int64
	HeldPerUser    int64
	MetricsToken   string
	TrashRetention time.Duration
	HeapGrace      time.Duration
	MaxImport      int64
	HeapFiles      int64
	UploadTTL      time.Duration
	S3Endpoint     string
	S3Region       string
	S3Bucket       string
	S3Prefix       string
	S3AccessKey    string
	S3SecretKey    string
	S3Style        string
	S3CA           string
	DiskFloor      int64
	MediaWorkers   int
	ScanRoots      []string
	ScanEvery      time.Duration

	proxies []netip.Prefix    // TrustedProxies, read
	sources map[string]string // by flag name: where its value came from
}

func (c *config) flags(f *pflag.FlagSet) {
	f.StringVar(&c.Data, "data", "./heapsync-data", "folder of everything that is kept")
	f.StringVar(&c.Listen, "listen", ":8787", "address to listen on; port 0 picks a free one")
	f.StringVar(&c.PublicURL, "public-url", "", "where clients reach the server; by default where it listens")
	f.StringVar(&c.Name, "name", "heapsync", "name of this server, shown to clients")
	f.StringVar(&c.Mode, "mode", "", "who may sign up: open, approval or closed; by default what was set last, at first approval")
	f.StringSliceVar(&c.Origins, "origins", nil, "web origins that may use the server besides its own, comma separated")
	f.StringSliceVar(&c.TrustedProxies, "trusted-proxies", nil, "addresses or networks of reverse proxies whose X-Forwarded-For counts, comma separated")
	f.StringVar(&c.RateLimits, "rate-limits", "on", "limits on how often who may log in: on or off")
	f.StringVar(&c.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&c.LogFormat, "log-format", "auto", "text, json, or auto: text on a terminal")
	f.IntVar(&c.MaxConnections, "max-connections", 50_000, "sockets open at once")
	f.IntVar(&c.MaxUpdate, "max-update-bytes", 16<<20, "size of one update")
	f.IntVar(&c.QueueBytes, "queue-bytes", 1<<20, "bytes that may wait for one slow reader before one catch-up replaces them")
	f.DurationVar(&c.AccessTTL, "access-ttl", 15*time.Minute, "life of an access token")
	f.DurationVar(&c.RefreshTTL, "refresh-ttl", 60*24*time.Hour, "life of a refresh token that is not used")
	f.Int64Var(&c.SnapshotTail, "snapshot-tail", 512, "updates of a block after which they are folded into a snapshot")
	f.Int64Var(&c.Collect, "collect-from", 256, "deleted characters and values of a block from which on their content is left out of its snapshot")
	f.DurationVar(&c.HistoryAll, "history-all", 7*24*time.Hour, "how long history keeps every update of a block as it came")
	f.DurationVar(&c.HistoryHourly, "history-hourly", 30*24*time.Hour, "up to which age history keeps one state an hour")
	f.DurationVar(&c.HistoryDaily, "history-daily", 365*24*time.Hour, "up to which age history keeps one state a day; what is older becomes one")
	f.Int64Var(&c.HistoryUpdates, "history-updates", 20_000, "updates of a block that are kept as they came; those before become one state a minute, however young")
	f.IntVar(&c.TypeDepth, "max-type-depth", 500, "how deep shared types may nest in a document")
	f.Int64Var(&c.OrderSteps, "max-order-steps", 2_000_000, "steps that a client may need to put the items of a document in order, and 32 an item")
	f.Int64Var(&c.HeldPerBlock, "held-bytes-per-block", 8<<20, "bytes of updates that wait for others, of one block")
	f.Int64Var(&c.HeldPerUser, "held-bytes-per-user", 64<<20, "bytes of updates that wait for others, of one user")
	f.DurationVar(&c.TrashRetention, "trash-retention", 30*24*time.Hour, "how long a block stays in the trash before it is deleted for good")
	f.DurationVar(&c.HeapGrace, "heap-grace", 7*24*time.Hour, "how long a deleted heap can be brought back")
	f.Int64Var(&c.MaxImport, "max-import-bytes", 4<<30, "size of an archive that is imported, packed or unpacked")
	f.Int64Var(&c.HeapFiles, "heap-files-bytes", 0, "bytes that the files of a heap may have; 0 is any number")
	f.StringVar(&c.S3Endpoint, "s3-endpoint", "", "address of an S3 server that keeps files, as https://s3.example.org; without one they are kept in the data folder")
	f.StringVar(&c.S3Bucket, "s3-bucket", "", "its bucket, which must exist")
	f.StringVar(&c.S3AccessKey, "s3-access-key", "", "who we are there")
	f.StringVar(&c.S3SecretKey, "s3-secret-key", "", "and the secret of it; better in HEAPSYNC_S3_SECRET_KEY than as a flag")
	f.StringVar(&c.S3Region, "s3-region", "", "the bucket's region; by default the server is asked")
	f.StringVar(&c.S3Prefix, "s3-prefix", "", "what the names of all objects begin with, as heapsync/")
	f.StringVar(&c.S3Style, "s3-style", "auto", "where the bucket is named: path, virtual (in the host's name), or auto")
	f.StringVar(&c.S3CA, "s3-ca", "", "file of certificates (PEM) that the S3 server's is signed by, if not one that the system knows")
	f.DurationVar(&c.UploadTTL, "upload-ttl", 7*24*time.Hour, "how long an upload of which nothing comes is kept")
	f.Int64Var(&c.DiskFloor, "disk-floor-bytes", 0, "bytes of the disk that uploads leave free; 0 is 1 GiB, or 5 % of the disk if that is more; -1 is none")
	f.IntVar(&c.MediaWorkers, "media-workers", 0, "files that are looked at at once to make thumbnails; 0 is half of the processors; -1 makes none")
	f.StringSliceVar(&c.ScanRoots, "scan-root", nil, "folders whose files may be taken in where they lie, besides those in the settings, comma separated")
	f.DurationVar(&c.ScanEvery, "scan-every", time.Hour, "time between scans of a folder that is taken in; -1s is never by itself")
	f.StringVar(&c.MetricsToken, "metrics-token", "", "bearer token that /metrics asks for; without one anybody may read the numbers")
}

// resolve fills in what is not given as a flag: from the environment, then the
// configuration file. An unknown key of the file is an error.
func (c *config) resolve(f *pflag.FlagSet, file string) error {
	fromFile, err := readConfigFile(file)
	if err != nil {
		return err
	}
	c.sources = make(map[string]string)
	var errs []error
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(config).flags(own)
	own.VisitAll(func(flag *pflag.Flag) {
		value, inFile := fromFile[flag.Name]
		delete(fromFile, flag.Name)
		env, inEnv := os.LookupEnv(envName(flag.Name))
		switch {
		case f.Changed(flag.Name):
			c.sources[flag.Name] = "flag"
		case inEnv:
			c.sources[flag.Name] = envName(flag.Name)
			errs = append(errs, set(f, flag.Name, env, envName(flag.Name)))
		case inFile:
			c.sources[flag.Name] = file
			errs = append(errs, set(f, flag.Name, value, file))
		default:
			c.sources[flag.Name] = "default"
		}
	})
	for key := range fromFile {
		errs = append(errs, fmt.Errorf("%s: no such setting: %s", file, key))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return c.check()
}

func (c *config) check() error {
	oneOf := func(name, value string, allowed ...string) error {
		if slices.Contains(allowed, value) {
			return nil
		}
		return fmt.Errorf("--%s must be one of %s, not %q", name, strings.Join(allowed, ", "), value)
	}
	var err error
	c.proxies, err = parseNetworks(c.TrustedProxies)
	if c.HistoryAll <= 0 || c.HistoryHourly < c.HistoryAll || c.HistoryDaily < c.HistoryHourly || c.HistoryUpdates < 1 {
		err = errors.Join(err, errors.New("--history-all, --history-hourly and --history-daily must not shrink in this order, and --history-updates must be at least 1"))
	}
	for i, root := range c.ScanRoots {
		clean, ok := tree.Clean(root)
		if !ok || tree.Pseudo(clean) {
			err = errors.Join(err, fmt.Errorf("--scan-root: %q is not the path of a folder of files, from / on", root))
		}
		c.ScanRoots[i] = clean
	}
	return errors.Join(
		err,
		oneOf("rate-limits", c.RateLimits, "on", "off"),
		oneOf("mode", c.Mode, "", "open", "approval", "closed"),
		oneOf("log-level", c.LogLevel, "debug", "info", "warn", "error"),
		oneOf("s3-style", c.S3Style, "auto", "path", "virtual"),
		c.checkS3(),
		oneOf("log-format", c.LogFormat, "auto", "text", "json"),
	)
}

// parseNetworks reads addresses and networks.
func parseNetworks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			var ip netip.Addr
			if ip, err = netip.ParseAddr(text); err != nil {
				return nil, fmt.Errorf("--trusted-proxies: %q is neither an address nor a network", text)
			}
			network = netip.PrefixFrom(ip, ip.BitLen())
		}
		networks = append(networks, network)
	}
	return networks, nil
}

func envName(flag string) string {
	return "HEAPSYNC_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func set(f *pflag.FlagSet, name, value, source string) error {
	if err := f.Set(name, value); err != nil {
		return fmt.Errorf("%s: %s: %w", source, name, err)
	}
	return nil
}

// readConfigFile reads TOML: one line a setting, named as its flag. No file is
// no settings, if file is "".
func readConfigFile(file string) (map[string]string, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration file %s", file)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var values map[string]any
	if err := toml.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	settings := make(map[string]string, len(values))
	for key, v := range values {
		if list, ok := v.([]any); ok {
			words := make([]string, len(list))
			for i, w := range list {
				words[i] = fmt.Sprint(w)
			}
			v = strings.Join(words, ",")
		}
		settings[strings.ReplaceAll(key, "_", "-")] = fmt.Sprint(v)
	}
	return settings, nil
}

// print writes the effective settings as a configuration file.
func (c *config) print(w io.Writer, f *pflag.FlagSet) error {
	var err error
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(config).flags(own)
	own.VisitAll(func(flag *pflag.Flag) {
		value := f.Lookup(flag.Name).Value
		text := fmt.Sprintf("%q", value)
		if (strings.HasSuffix(flag.Name, "-token") || strings.HasSuffix(flag.Name, "-secret-key")) && value.String() != "" {
			text = `"…"` // a secret
		}
		switch value.Type() {
		case "int", "int64":
			text = value.String()
		case "stringSlice":
			text = "[]"
			if list := value.(pflag.SliceValue).GetSlice(); len(list) > 0 {
				text = fmt.Sprintf(`["%s"]`, strings.Join(list, `", "`))
			}
		}
		_, e := fmt.Fprintf(w, "# %s (%s)\n%s = %s\n", flag.Usage, c.sources[flag.Name], flag.Name, text)
		err = errors.Join(err, e)
	})
	return err
}

// withConfig gives cmd all settings as flags, and a --config file.
func withConfig(cmd *cobra.Command, run func(cmd *cobra.Command, cfg *config) error) *cobra.Command {
	var cfg config
	var file string
	cfg.flags(cmd.Flags())
	cmd.Flags().StringVar(&file, "config", "", "configuration file (TOML); also HEAPSYNC_CONFIG")
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if file == "" {
			file = os.Getenv("HEAPSYNC_CONFIG")
		}
		if err := cfg.resolve(cmd.Flags(), file); err != nil {
			return err
		}
		return run(cmd, &cfg)
	}
	return cmd
}

func configCommand() *cobra.Command {
	return withConfig(&cobra.Command{
		Use:   "config",
		Short: "Print the effective settings, and where each comes from",
		Long:  "Print the effective settings as a configuration file, each with where its value comes from.",
	}, func(cmd *cobra.Command, cfg *config) error {
		return cfg.print(cmd.OutOrStdout(), cmd.Flags())
	})
}
