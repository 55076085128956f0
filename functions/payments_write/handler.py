"""Everything under /v1 that changes something."""

from guilder.api.functions import write_app
from guilder.config import Settings
from guilder.runtime import Runtime
from mangum import Mangum

# "off": with "auto" Mangum would run start-up and shutdown at every call. What start-up would do, the runtime does at first use.
handler = Mangum(write_app(Runtime(Settings.from_environment())), lifespan="off")
