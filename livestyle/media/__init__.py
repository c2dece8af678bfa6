"""Where frames come from and go to."""

# Before PyAV, whichever module here needs that: where PyAV was first, Qt takes its copy of libxcb, and the first window
# that OpenCV opens never returns.
import cv2 as cv2
