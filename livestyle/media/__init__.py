"""Sources and sinks of frames: images, videos, cameras, recordings, servers."""

# Import order: OpenCV before PyAV. Otherwise Qt in OpenCV loads PyAV's copy of libxcb, and the first window that it
# opens never returns.
import cv2 as cv2
