package media

import (
	"context"
	"errors"
	"fmt"
	"image"
	"slices"
	"strconv"
)

// A preview of a video: so many seconds, so many frames a second.
const (
	previewSeconds = 3
	previewRate    = 8
)

// ffmpegJob is a run of ffmpeg or ffprobe on a file, which arguments name as
// inputPath. It reads in the sniffed format only: a playlist inside, which names
// other files or addresses, has no reader, and nothing that could fetch them.
func (m *Engines) ffmpegJob(s subject, program string, arguments ...string) job {
	command := []string{program, "-v", "error", "-protocol_whitelist", "file,pipe", "-format_whitelist", s.format.demuxer}
	if program == m.ffmpeg {
		command = append(command, "-nostdin", "-hide_banner", "-threads", "1", "-max_pixels", strconv.FormatInt(m.limits.Pixels, 10))
	}
	command = append(command, "-f", s.format.demuxer)
	return job{command: append(command, arguments...), input: s.File,
		time: m.limits.VideoTime, output: m.limits.Output, memory: uint64(m.limits.Memory)}
}

// scaled is a filter that keeps a picture within edge × edge square pixels,
// whatever the shape of its own.
func scaled(edge int) string {
	return fmt.Sprintf("scale=w='max(1,round(min(%d,max(iw,ih))*min(1,dar)))':h='max(1,round(min(%[1]d,max(iw,ih))/max(1,dar)))',setsar=1", edge)
}

// ffmpegDecode decodes one frame of a video, a song's cover, or an image.
func (m *Engines) ffmpegDecode(ctx context.Context, s subject, edge int, at Position) (*image.RGBA, error) {
	var seconds float64
	if s.format.Kind != Image {
		facts, err := m.probeStreams(ctx, s, Facts{Format: s.format})
		if err != nil {
			return nil, err
		}
		switch {
		case facts.Format.Kind == Video:
			seconds = at.In(facts.Duration.Seconds())
		case !facts.Cover:
			return nil, fail(ErrUnsupported, "there is no picture in it")
		}
	}
	picture, err := m.frame(ctx, s, edge, seconds)
	if err == nil && picture == nil && seconds > 0 {
		// The last frame begins before the end, and some lengths are wrong.
		if picture, err = m.frame(ctx, s, edge, max(0, seconds-2)); err == nil && picture == nil {
			picture, err = m.frame(ctx, s, edge, 0)
		}
	}
	if err == nil && picture == nil {
		err = fail(ErrDamaged, "no frame of it can be decoded")
	}
	return picture, err
}

// frame decodes the frame at a second; nil if there is none.
func (m *Engines) frame(ctx context.Context, s subject, edge int, second float64) (*image.RGBA, error) {
	var arguments []string
	if second > 0 {
		arguments = append(arguments, "-ss", strconv.FormatFloat(second, 'f', 3, 64))
	}
	arguments = append(arguments, "-i", inputPath, "-map", "0:v:0", "-an", "-sn", "-dn", "-frames:v", "1",
		"-vf", scaled(edge), "-pix_fmt", "rgba", "-c:v", "png", "-compression_level", "0", "-f", "image2pipe", "pipe:1")
	j := m.ffmpegJob(s, m.ffmpeg, arguments...)
	j.output = max(j.output, int64(edge)*int64(edge)*4+1<<20)
	out, err := j.run(ctx)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	return decodePNG(out, edge)
}

// ffmpegAnimation makes an animated WebP of an APNG or of a part of a video.
func (m *Engines) ffmpegAnimation(ctx context.Context, s subject, edge int, from Position) ([]byte, error) {
	if !m.demuxes(s.format) {
		return nil, fail(ErrNoEngine, "moving pictures of %s files need ffmpeg", s.format.Name)
	}
	if s.format.Kind == Image {
		frames := min(maxAnimation, m.limits.FramePixels/max(1, int64(s.header.width)*int64(s.header.height)))
		if frames < 2 {
			return nil, fail(ErrTooLarge, "two of its frames have more than %d megapixels", m.limits.FramePixels/1_000_000)
		}
		return m.animate(ctx, s, scaled(edge), nil, []string{"-frames:v", strconv.FormatInt(frames, 10), "-pix_fmt", "yuva420p"})
	}
	facts, err := m.probeStreams(ctx, s, Facts{Format: s.format})
	if err != nil {
		return nil, err
	}
	if facts.Format.Kind != Video {
		return nil, fail(ErrUnsupported, "there is no moving picture in it")
	}
	length := facts.Duration.Seconds()
	filter, output := fmt.Sprintf("fps=%d,%s", previewRate, scaled(edge)), []string{"-pix_fmt", "yuv420p"}
	preview := func(second float64) ([]byte, error) {
		return m.animate(ctx, s, filter, []string{"-ss", strconv.FormatFloat(second, 'f', 3, 64), "-t", strconv.Itoa(previewSeconds)}, output)
	}
	second := min(from.In(length), max(0, length-previewSeconds))
	out, err := preview(second)
	if errors.Is(err, ErrDamaged) && second > 0 {
		return preview(0) // some containers cannot be entered where nothing is whole
	}
	return out, err
}

// animate runs ffmpeg with options for what it reads and for what it writes.
func (m *Engines) animate(ctx context.Context, s subject, filter string, input, output []string) ([]byte, error) {
	arguments := slices.Concat(input, []string{"-i", inputPath}, output, []string{"-map", "0:v:0", "-an", "-sn", "-dn", "-map_metadata", "-1",
		"-vf", filter, "-c:v", "libwebp_anim", "-quality", "65", "-compression_level", "2", "-loop", "0", "-f", "webp", "pipe:1"})
	out, err := m.ffmpegJob(s, m.ffmpeg, arguments...).run(ctx)
	if err == nil && len(out) == 0 {
		err = fail(ErrDamaged, "no frame of it can be decoded")
	}
	return out, err
}

// ffmpegEncode writes a picture as WebP.
func (m *Engines) ffmpegEncode(ctx context.Context, picture *image.RGBA) ([]byte, error) {
	size := picture.Bounds().Size()
	return job{
		command: []string{m.ffmpeg, "-v", "error", "-hide_banner", "-protocol_whitelist", "file,pipe", "-f", "rawvideo", "-pix_fmt", "rgba",
			"-s", fmt.Sprintf("%dx%d", size.X, size.Y), "-i", "pipe:0", "-frames:v", "1", "-c:v", "libwebp", "-quality", "80", "-f", "webp", "pipe:1"},
		stdin: unmultiplied(picture).Pix, time: m.limits.Time, output: m.limits.Output, memory: uint64(m.limits.Memory),
	}.run(ctx)
}
