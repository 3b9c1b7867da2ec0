package blocks

import (
	"encoding/json"

	"github.com/heapsync/heapsync/blocks/media"
)

// Facts are what was found out about a file. What it does not say is zero.
type Facts struct {
	Format   string  `json:"format" doc:"what the bytes are, as jpeg or mp4"`
	Mime     string  `json:"mime"`
	Kind     string  `json:"kind" doc:"image, video, audio or document"`
	Width    int     `json:"width,omitempty" doc:"pixels, upright"`
	Height   int     `json:"height,omitempty"`
	Animated bool    `json:"animated,omitempty"`
	Frames   int     `json:"frames,omitempty"`
	Pages    int     `json:"pages,omitempty"`
	Duration float64 `json:"duration,omitempty" doc:"seconds"`

	VideoCodec string `json:"video_codec,omitempty"`
	AudioCodec string `json:"audio_codec,omitempty"`
	Cover      bool   `json:"cover,omitempty" doc:"a song has a picture"`
	TakenAt    int64  `json:"taken_at,omitempty" doc:"when a photograph or film was made (ms)"`
	// TakenFloating: TakenAt is what a clock showed, read as UTC.
	TakenFloating bool   `json:"taken_floating,omitempty" doc:"the file says no time zone"`
	Title         string `json:"title,omitempty"`
	Artist        string `json:"artist,omitempty"`
	Album         string `json:"album,omitempty"`
	Thumbhash     string `json:"thumbhash,omitempty" doc:"base64"`
}

func factsOf(f media.Facts) Facts {
	facts := Facts{
		Format: f.Format.Name, Mime: f.Format.MIME, Kind: string(f.Format.Kind),
		Width: f.Width, Height: f.Height, Animated: f.Animated, Frames: f.Frames, Pages: f.Pages,
		Duration: f.Duration.Seconds(), VideoCodec: f.VideoCodec, AudioCodec: f.AudioCodec, Cover: f.Cover,
		TakenFloating: f.TakenFloating, Title: f.Title, Artist: f.Artist, Album: f.Album,
	}
	if !f.Taken.IsZero() {
		facts.TakenAt = f.Taken.UnixMilli()
	}
	return facts
}

// ParseFacts reads what a Source keeps; nil if it has none.
func (s *Source) ParseFacts() *Facts {
	var f Facts
	if s.Facts == "" || json.Unmarshal([]byte(s.Facts), &f) != nil {
		return nil
	}
	return &f
}

func (f *Facts) text() string {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // texts and numbers only; a duration is finite
	}
	return string(text)
}
