package media

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Facts are what a gallery shows of a file beside its picture. What a file does
// not say is zero.
type Facts struct {
	Format Format
	// Width and Height are of the upright picture, in pixels; of a PDF's first page,
	// in points.
	Width, Height int
	Animated      bool
	Frames        int // of an animated image, counted up to 131,072
	Pages         int // of a PDF or TIFF
	Duration      time.Duration
	VideoCodec    string // ffmpeg's names: "h264"
	AudioCodec    string // "aac"
	Cover         bool   // a song has a picture
	// Taken is when a photograph or film was made, by its maker's clock. If
	// TakenFloating, the file says no time zone, and Taken is that clock read as UTC.
	Taken         time.Time
	TakenFloating bool
	// Title, Artist and Album are a song's or film's own words: printable, at most
	// 500 bytes each.
	Title, Artist, Album string
}

// maxTag is the longest title, artist or album, in bytes.
const maxTag = 500

// Probe tells what a file is. It decodes nothing. Of formats that only an engine
// reads, and without that engine, it still tells the Format, with ErrNoEngine. The
// same holds for ErrDamaged: then the Format is what the file pretends to be.
//
// The file is read from its beginning, whatever its offset, and its offset moves:
// no other call may use the same *os.File meanwhile.
func (m *Engines) Probe(ctx context.Context, file *os.File) (Facts, error) {
	subject, err := m.open(file)
	facts := Facts{Format: subject.format}
	if err != nil {
		return facts, err
	}
	h := subject.header
	facts.Taken, facts.TakenFloating = h.taken, h.floating
	facts.Width, facts.Height, facts.Pages = h.width, h.height, h.pages
	if h.turned() {
		facts.Width, facts.Height = h.height, h.width
	}
	switch {
	case subject.format.Kind == Video || subject.format.Kind == Audio:
		return m.probeStreams(ctx, subject, facts)
	case h.frames > 1:
		facts.Animated, facts.Frames = true, h.frames
	case subject.format.Name == "pdf" || subject.format.Kind == Image && h.width == 0 && subject.format.Name != "raw":
		return m.probeVips(ctx, subject, facts)
	}
	return facts, nil
}

// subject is a file that calls work on.
type subject struct {
	*os.File
	size   int64
	format Format
	header header
}

// open reads what this process can of a file and refuses it if that is too much.
func (m *Engines) open(file *os.File) (subject, error) {
	info, err := file.Stat()
	if err != nil {
		return subject{}, pathless(err)
	}
	if !info.Mode().IsRegular() {
		return subject{}, fail(ErrUnsupported, "it is not a regular file")
	}
	s := subject{File: file, size: info.Size()}
	if s.format, err = Sniff(file, s.size); err != nil {
		return s, pathless(err)
	}
	if s.format.Kind == Image {
		if s.header, err = readHeader(file, s.size, s.format); err != nil {
			return s, pathless(err)
		}
		if s.format.Name != "svg" && s.format.Name != "raw" { // those are drawn, or stand aside, at the size that is asked for
			return s, m.fits(s.header.width, s.header.height)
		}
	}
	return s, nil
}

// pathless takes the file's name out of an error of the operating system.
func pathless(err error) error {
	if pathErr, ok := err.(*os.PathError); ok {
		return pathErr.Err
	}
	return err
}

// fits says whether a picture may be decoded.
func (m *Engines) fits(width, height int) error {
	if int64(width)*int64(height) > m.limits.Pixels {
		return fail(ErrTooLarge, "%d × %d pixels are more than %d megapixels", width, height, m.limits.Pixels/1_000_000)
	}
	return nil
}

// probeVips asks libvips, which reads no more than the head of a file.
func (m *Engines) probeVips(ctx context.Context, s subject, facts Facts) (Facts, error) {
	if !m.loads(s.format) {
		if s.format.inGo || s.format.Name == "svg" {
			return facts, nil
		}
		return facts, m.noEngine(s.format)
	}
	out, err := m.vipsJob(s, m.vipshead, "-a", "stdin").run(ctx)
	if err != nil {
		return facts, err
	}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			continue
		}
		switch name {
		case "width":
			facts.Width = n
		case "height":
			facts.Height = n
		case "n-pages":
			facts.Pages = n
		}
	}
	if s.format.Kind == Image {
		facts.Pages = 0
		return facts, m.fits(facts.Width, facts.Height)
	}
	return facts, nil
}

// probed is ffprobe's answer.
type probed struct {
	Streams []struct {
		Type        string         `json:"codec_type"`
		Codec       string         `json:"codec_name"`
		Width       int            `json:"width"`
		Height      int            `json:"height"`
		Disposition map[string]int `json:"disposition"`
		Tags        map[string]string
		SideData    []struct {
			Rotation float64 `json:"rotation"`
		} `json:"side_data_list"`
	}
	Format struct {
		Duration string
		Tags     map[string]string
	}
}

// probeStreams asks ffprobe.
func (m *Engines) probeStreams(ctx context.Context, s subject, facts Facts) (Facts, error) {
	if !m.demuxes(s.format) {
		return facts, m.noEngine(s.format)
	}
	j := m.ffmpegJob(s, m.ffprobe, "-of", "json", "-show_format", "-show_streams", inputPath)
	out, err := j.run(ctx)
	if err != nil {
		return facts, err
	}
	var answer probed
	if err := json.Unmarshal(out, &answer); err != nil {
		return facts, fail(ErrDamaged, "its streams cannot be told")
	}
	tags := map[string]string{}
	lower := func(from map[string]string) {
		for name, value := range from {
			if name = strings.ToLower(name); tags[name] == "" {
				tags[name] = value
			}
		}
	}
	lower(answer.Format.Tags)
	moving := false
	for _, stream := range answer.Streams {
		switch {
		case stream.Type == "video" && stream.Disposition["attached_pic"] == 1:
			facts.Cover = true
		case stream.Type == "video" && !moving:
			moving = true
			facts.VideoCodec, facts.Width, facts.Height = stream.Codec, stream.Width, stream.Height
			for _, side := range stream.SideData {
				if int(side.Rotation)%180 != 0 {
					facts.Width, facts.Height = facts.Height, facts.Width
				}
			}
			lower(stream.Tags)
		case stream.Type == "audio" && facts.AudioCodec == "":
			facts.AudioCodec = stream.Codec
			lower(stream.Tags) // an Ogg's tags are a stream's
		}
	}
	if len(answer.Streams) == 0 || !moving && facts.AudioCodec == "" && !facts.Cover {
		return facts, fail(ErrDamaged, "it has neither picture nor sound")
	}
	facts.Format = withStreams(facts.Format, moving, facts.AudioCodec != "")
	if seconds, err := strconv.ParseFloat(answer.Format.Duration, 64); err == nil && seconds > 0 && seconds < 1e9 {
		facts.Duration = time.Duration(seconds * float64(time.Second))
	}
	facts.Title, facts.Artist, facts.Album = clean(tags["title"]), clean(tags["artist"]), clean(tags["album"])
	if taken, err := time.Parse(time.RFC3339, tags["com.apple.quicktime.creationdate"]); err == nil {
		facts.Taken = plausible(taken)
	} else if taken, err := time.Parse("2006-01-02T15:04:05-0700", tags["com.apple.quicktime.creationdate"]); err == nil {
		facts.Taken = plausible(taken)
	} else if taken, err := time.Parse(time.RFC3339, tags["creation_time"]); err == nil {
		facts.Taken = plausible(taken)
	}
	return facts, m.fits(facts.Width, facts.Height)
}

// withStreams corrects what a container alone does not tell.
func withStreams(f Format, picture, sound bool) Format {
	switch {
	case f.Kind == Audio && picture:
		f.Kind, f.MIME = Video, map[string]string{"ogg": "video/ogg", "m4a": "video/mp4"}[f.Name]
		if f.MIME == "" {
			f.MIME = "application/octet-stream"
		}
	case f.Kind == Video && !picture && sound:
		f.Kind, f.MIME = Audio, strings.Replace(f.MIME, "video/", "audio/", 1)
	}
	return f
}

// clean makes a tag fit to be shown.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r) || unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if text = strings.TrimSpace(text); len(text) > maxTag {
		text = strings.TrimSpace(strings.ToValidUTF8(text[:maxTag], ""))
	}
	return text
}

// noEngine says what is missing for a format.
func (m *Engines) noEngine(f Format) error {
	program := "libvips"
	if f.demuxer != "" {
		program = "ffmpeg"
	}
	return fail(ErrNoEngine, "%s files need %s", f.Name, program)
}
