from lunaris.core import ui
from lunaris.pixel.demo import build_demo

ui.launch(build_demo())
